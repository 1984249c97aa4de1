/* The transforms with the vectors that every CPU of the architecture has. */
#define LANES 4
#include "ops/winograd_body.h"

const sm_winograd sm_winograd_plain[] = TRANSFORM_TABLE;
