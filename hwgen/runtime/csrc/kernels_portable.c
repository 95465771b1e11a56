#define KERNEL_NAME kernels_portable
#define KERNEL_TEXT "portable"
#include "kernels_body.h"
