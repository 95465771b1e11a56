/*
 * Every symbol in every spelling seen in the wild: with 32-bit integers, with 64-bit ones (_64_ and
 * 64_ of Netlib and OpenBLAS, _64 of MKL), and each as SciPy's private OpenBLAS has them.
 */
#include <complex.h>
#include <stdlib.h>

#include "pack.h"

#define INT int32_t
#define FORTRAN(name) name##_
#define CBLAS(name) cblas_##name
#include "cblas.inc"
#include "fortran.inc"
#include "pack.inc"
#undef FORTRAN
#undef CBLAS

#define FORTRAN(name) scipy_##name##_
#define CBLAS(name) scipy_cblas_##name
#include "cblas.inc"
#include "fortran.inc"
#include "pack.inc"
#undef FORTRAN
#undef CBLAS
#undef INT

#define INT int64_t
#define FORTRAN(name) name##_64_
#define CBLAS(name) cblas_##name##64_
#include "cblas.inc"
#include "fortran.inc"
#include "pack.inc"
#undef FORTRAN
#undef CBLAS

#define FORTRAN(name) scipy_##name##_64_
#define CBLAS(name) scipy_cblas_##name##64_
#include "cblas.inc"
#include "fortran.inc"
#include "pack.inc"
#undef FORTRAN
#undef CBLAS

#define FORTRAN(name) name##_64
#define CBLAS(name) cblas_##name##_64
#include "cblas.inc"
#include "fortran.inc"
#include "pack.inc"
#undef FORTRAN
#undef CBLAS

#define FORTRAN(name) scipy_##name##64_
#define CBLAS(name) scipy_cblas_##name##_64
#include "cblas.inc"
#include "fortran.inc"
#include "pack.inc"
