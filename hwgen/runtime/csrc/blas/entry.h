/* What the .inc files are written with: parameter lists and the steps every entry shares. */
#ifndef HWGEN_BLAS_ENTRY_H
#define HWGEN_BLAS_ENTRY_H

#include "routines.h"

#define HW_TEXT_(name) #name
#define HW_TEXT(name) HW_TEXT_(name)

#define HW_PARAMETERS_5                                                                           \
    const void *p1, const void *p2, const void *p3, const void *p4, const void *p5
#define HW_PARAMETERS_10                                                                          \
    HW_PARAMETERS_5, const void *p6, const void *p7, const void *p8, const void *p9,              \
        const void *p10
#define HW_PARAMETERS_11 HW_PARAMETERS_10, const void *p11
#define HW_PARAMETERS_12 HW_PARAMETERS_11, const void *p12
#define HW_PARAMETERS_13 HW_PARAMETERS_12, const void *p13
#define HW_PARAMETERS_15 HW_PARAMETERS_13, const void *p14, const void *p15
#define HW_PARAMETERS_17 HW_PARAMETERS_15, const void *p16, const void *p17
#define HW_VALUES_5 p1, p2, p3, p4, p5
#define HW_VALUES_10 HW_VALUES_5, p6, p7, p8, p9, p10
#define HW_VALUES_11 HW_VALUES_10, p11
#define HW_VALUES_12 HW_VALUES_11, p12
#define HW_VALUES_13 HW_VALUES_12, p13
#define HW_VALUES_15 HW_VALUES_13, p14, p15
#define HW_VALUES_17 HW_VALUES_15, p16, p17

/*
 * Fortran passes the lengths of strings behind the arguments; a callee may reuse their room on the
 * stack, so it has to be there.
 */
#define HW_LENGTHS_TYPES size_t, size_t, size_t, size_t
#define HW_LENGTHS 1, 1, 1, 1

/* How the C interface passes alpha and beta: real numbers by value, complex ones by address. */
#define HW_BY_VALUE(number) &(number)
#define HW_BY_ADDRESS(number) (number)

#pragma GCC visibility push(hidden)

static inline void hw_start_fortran(hw_call *call, hw_entry *entry, const void *caller,
                                    hw_routine *routine, char letter, int width,
                                    const void *const *pointers) {
    const hw_arguments arguments = {pointers, width, false, false};
    hw_call_start(call, entry, caller);
    routine(call, letter, &arguments);
}

enum { HW_ROW_MAJOR = 101, HW_COLUMN_MAJOR = 102 };

static inline void hw_start_c(hw_call *call, hw_entry *entry, const void *caller,
                              hw_routine *routine, char letter, int order, int width,
                              const void *const *pointers) {
    const hw_arguments arguments = {pointers, width, order == HW_ROW_MAJOR, true};
    hw_call_start(call, entry, caller);
    if (order != HW_ROW_MAJOR && order != HW_COLUMN_MAJOR)
        call->illegal = 1;
    routine(call, letter, &arguments);
}

/* The letter of an option of the C interface: transposes, triangles, diagonals, sides. */
static inline char hw_letter(int option) {
    switch (option) {
    case 111: return 'N';
    case 112: return 'T';
    case 113: return 'C';
    case 121: return 'U';
    case 122: return 'L';
    case 131: return 'N';
    case 132: return 'U';
    case 141: return 'L';
    case 142: return 'R';
    default: return '?';
    }
}

#pragma GCC visibility pop
#endif
