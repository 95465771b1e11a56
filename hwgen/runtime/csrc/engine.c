/* Which instruction sets this machine can run. */
#include <pthread.h>
#include <string.h>

#include "hwgen.h"
#include "kernels.h"

extern const kernel_set kernels_portable;
#ifdef __x86_64__
extern const kernel_set kernels_avx2;
extern const kernel_set kernels_avx512;
#endif

enum { MAX_SETS = 3 };

/* Best first, ended by NULL. */
static const kernel_set *sets[MAX_SETS + 1];
static const char *names[MAX_SETS + 1];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_sets(void) {
    int count = 0;
#ifdef __x86_64__
    __builtin_cpu_init();
    bool fused = __builtin_cpu_supports("fma");
    if (fused && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        sets[count++] = &kernels_avx512;
    if (fused && __builtin_cpu_supports("avx2"))
        sets[count++] = &kernels_avx2;
#endif
    sets[count++] = &kernels_portable;
    for (int i = 0; i < count; i++)
        names[i] = sets[i]->name;
}

const kernel_set *const *kernel_sets(void) {
    pthread_once(&once, find_sets);
    return sets;
}

const kernel_set *kernel_set_named(const char *name) {
    const kernel_set *const *list = kernel_sets();
    if (name == NULL)
        return list[0];
    for (; *list != NULL; list++)
        if (strcmp((*list)->name, name) == 0)
            return *list;
    return NULL;
}

const char *const *hwgen_engines(void) {
    kernel_sets();
    return names;
}
