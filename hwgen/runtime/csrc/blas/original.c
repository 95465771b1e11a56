/*
 * Finds the function that a program would have reached without us.
 *
 * RTLD_NEXT sees what stands behind us in the global scope: enough for programs linked to libblas.
 * Python extensions bring their BLAS along in a local scope, so next the dependencies of the caller
 * are searched, as the dynamic linker itself would, and at last every loaded object.
 */
/* dladdr, dl_iterate_phdr and RTLD_NEXT are GNU extensions. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library.h"

/* Start of this library in memory, to know our own functions. */
static const void *own_base(void) {
    static _Atomic(const void *) base;
    const void *known = atomic_load_explicit(&base, memory_order_relaxed);
    if (known == NULL) {
        Dl_info info;
        if (dladdr((void *)&own_base, &info) != 0)
            known = info.dli_fbase;
        atomic_store_explicit(&base, known, memory_order_relaxed);
    }
    return known;
}

static bool is_foreign(const void *function) {
    Dl_info info;
    return function != NULL && dladdr(function, &info) != 0 && info.dli_fbase != own_base();
}

/* Looks in an object and its dependencies; keeps it loaded if it has the symbol. */
static void *look_in(const char *object, const char *name) {
    void *handle = dlopen(object, RTLD_LAZY | RTLD_NOLOAD);
    if (handle == NULL)
        return NULL;
    void *function = dlsym(handle, name);
    if (is_foreign(function))
        return function;
    dlclose(handle);
    return NULL;
}

/* Names of the loaded objects: the linker's lock must not be held while they are opened. */
typedef struct {
    char **names;
    size_t count;
} object_list;

static int collect(struct dl_phdr_info *info, size_t size, void *data) {
    object_list *list = data;
    (void)size;
    /* The program itself has no name here, and what the kernel brings along no path. */
    if (info->dlpi_name == NULL || strchr(info->dlpi_name, '/') == NULL)
        return 0;
    char **names = realloc(list->names, (list->count + 1) * sizeof *names);
    if (names == NULL)
        return 1;
    list->names = names;
    names[list->count] = strdup(info->dlpi_name);
    if (names[list->count] == NULL)
        return 1;
    list->count++;
    return 0;
}

static void *look_everywhere(const char *name) {
    object_list list = {0};
    void *function = NULL;
    dl_iterate_phdr(collect, &list);
    for (size_t i = 0; i < list.count; i++) {
        if (function == NULL)
            function = look_in(list.names[i], name);
        free(list.names[i]);
    }
    free(list.names);
    return function;
}

void *hw_original_named(const char *name, const void *caller) {
    void *function = dlsym(RTLD_NEXT, name);
    if (is_foreign(function))
        return function;
    Dl_info info;
    if (dladdr(caller, &info) != 0 && info.dli_fname != NULL
        && strchr(info.dli_fname, '/') != NULL) {
        function = look_in(info.dli_fname, name);
        if (function != NULL)
            return function;
    }
    return look_everywhere(name);
}

static int read_loads(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size;
    *(unsigned long long *)data = info->dlpi_adds;
    return 1;
}

void *hw_original(hw_entry *entry, const void *caller) {
    void *function = atomic_load_explicit(&entry->original, memory_order_acquire);
    if (function != NULL)
        return function;
    /* What is absent may be loaded later; look again only when something has been. */
    unsigned long long loads = 0;
    dl_iterate_phdr(read_loads, &loads);
    if (atomic_load_explicit(&entry->absent_since, memory_order_relaxed) == loads + 1)
        return NULL;
    function = hw_original_named(entry->symbol, caller);
    if (function != NULL)
        atomic_store_explicit(&entry->original, function, memory_order_release);
    else
        atomic_store_explicit(&entry->absent_since, loads + 1, memory_order_relaxed);
    return function;
}

/* --- illegal arguments, where there is no original to complain ------------------------------ */

/* BLAS knows itself in capitals, without what compilers and 64-bit integers append. */
static void name_in_capitals(char *routine) {
    static const char *const endings[] = {"_64_", "64_", "_64", "_"};
    const size_t length = strlen(routine);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t width = strlen(endings[i]);
        if (length > width && strcmp(routine + length - width, endings[i]) == 0) {
            routine[length - width] = '\0';
            break;
        }
    }
    for (char *letter = routine; *letter != '\0'; letter++)
        *letter -= *letter >= 'a' && *letter <= 'z' ? 'a' - 'A' : 0;
}

void hw_illegal_argument(const hw_entry *entry, int position) {
    char routine[48];
    const char *name = entry->symbol;
    const bool c_interface = strstr(name, "cblas_") != NULL;
    if (strncmp(name, "scipy_", 6) == 0)
        name += 6;
    snprintf(routine, sizeof routine, "%s", name);
    if (c_interface) {
        typedef void handler(int, const char *, const char *, ...);
        handler *complain = (handler *)dlsym(RTLD_DEFAULT, "cblas_xerbla");
        if (complain != NULL) {
            complain(position, routine, "");
            return;
        }
    } else {
        name_in_capitals(routine);
        typedef void handler(const char *, const int64_t *, size_t);
        handler *complain = (handler *)dlsym(RTLD_DEFAULT, "xerbla_");
        if (complain != NULL) {
            const int64_t number = position; /* little-endian: an int32 too */
            complain(routine, &number, strlen(routine));
            return;
        }
    }
    hw_say("on entry to %s parameter number %d had an illegal value", routine, position);
}
