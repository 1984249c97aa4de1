#include <sigmatic/tensor/tensor.h>

#include <assert.h>

static const struct {
    const char *name;
    size_t bytes;
} dtypes[SM_DTYPES] = {
    [SM_F32] = {"f32", 4}, [SM_BF16] = {"bf16", 2}, [SM_U8] = {"u8", 1},   [SM_U16] = {"u16", 2},
    [SM_I32] = {"i32", 4}, [SM_I64] = {"i64", 8},   [SM_F64] = {"f64", 8},
};

size_t sm_dtype_bytes(sm_dtype dtype)
{
    assert((unsigned)dtype < SM_DTYPES);
    return dtypes[dtype].bytes;
}

const char *sm_dtype_name(sm_dtype dtype)
{
    assert((unsigned)dtype < SM_DTYPES);
    return dtypes[dtype].name;
}

size_t sm_tensor_elements(const sm_tensor *tensor)
{
    size_t elements = 1;
    for (int d = 0; d < tensor->rank; d++) {
        elements *= (size_t)tensor->shape[d];
    }
    return elements;
}

size_t sm_tensor_bytes(const sm_tensor *tensor)
{
    return sm_tensor_elements(tensor) * sm_dtype_bytes(tensor->dtype);
}
