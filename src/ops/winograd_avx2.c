#if defined(__AVX2__)
#define LANES 8
#include "ops/winograd_body.h"

const sm_winograd sm_winograd_avx2[] = TRANSFORM_TABLE;
#endif
