#define KERNEL_NAME kernels_avx512
#define KERNEL_TEXT "avx512"
#include "kernels_body.h"
