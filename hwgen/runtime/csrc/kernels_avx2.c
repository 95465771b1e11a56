#define KERNEL_NAME kernels_avx2
#define KERNEL_TEXT "avx2"
#include "kernels_body.h"
