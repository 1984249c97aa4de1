#if defined(__AVX512F__)
#define LANES 16
#include "ops/winograd_body.h"

const sm_winograd sm_winograd_avx512[] = TRANSFORM_TABLE;
#endif
