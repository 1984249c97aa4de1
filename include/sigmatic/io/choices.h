/** \file
 * The choices of a key whose rows come from outside the library, too: names joined by '|', as sm_key.choices points to them. */
#ifndef SIGMATIC_IO_CHOICES_H
#define SIGMATIC_IO_CHOICES_H

#include <sigmatic/base/status.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** \return 1 if `name` is one of the names. */
int sm_choices_has(const char *choices, const char *name);

/** Adds a name at the end. Configs that exist may not be read meanwhile.
 * \param [in,out] choices  of `bytes` bytes
 * \param what  is named, for messages: "backbone"
 * \return SM_ERR_USAGE if the name is not of letters, digits and '_', or there is no room */
sm_status sm_choices_add(char *choices, size_t bytes, const char *what, const char *name);

#ifdef __cplusplus
}
#endif
#endif
