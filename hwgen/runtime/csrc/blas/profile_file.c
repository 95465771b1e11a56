/* $HWGEN_RUN/profile.<pid>: made at a process's first product, one record a call site. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "profile.h"

enum { VERSION = 1, MOST_FILES = 1000 };

typedef struct {
    char magic[8];
    uint32_t version;
    uint32_t site_bytes;
    uint32_t sites_used;
    uint32_t pad;
} profile_header;

typedef struct {
    profile_header header;
    hw_site sites[HW_SITES + 1];
} profile_file;

_Static_assert(sizeof(profile_header) == 24, "hwgen.explore.profile reads this header");
_Static_assert(sizeof(hw_site) == 40 + 8 * (22 + 3 * HW_NUMBER_BINS + HW_PRODUCT_BINS),
               "hwgen.explore.profile reads these records");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static profile_file *file;
static bool broken; /* the file could not be made: nothing is profiled */

static profile_file *make_file(const char *folder) {
    char path[PATH_MAX];
    int handle = -1;
    /* After exec() the file of the former program stands in the way. */
    for (int next = 0; handle < 0 && next < MOST_FILES; next++) {
        snprintf(path, sizeof path, "%s/profile.%ld.%d", folder, (long)getpid(), next);
        handle = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (handle < 0 && errno != EEXIST)
            return NULL;
    }
    if (handle < 0)
        return NULL;
    void *memory = MAP_FAILED;
    if (ftruncate(handle, sizeof(profile_file)) == 0)
        memory = mmap(NULL, sizeof(profile_file), PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
    close(handle);
    if (memory == MAP_FAILED)
        return NULL;
    profile_file *made = memory;
    made->header.version = VERSION;
    made->header.site_bytes = sizeof(hw_site);
    memcpy(made->header.magic, "hwprofil", 8);
    return made;
}

static void start_site(hw_site *site, const char *symbol, int64_t m, int64_t n, int64_t k) {
    snprintf(site->symbol, sizeof site->symbol, "%s", symbol);
    site->m = m;
    site->n = n;
    site->k = k;
    site->least_result = INFINITY;
    site->lowest_a = site->lowest_b = INT64_MAX;
}

static int64_t power_below(int64_t size) {
    return size > 0 ? (int64_t)1 << (63 - __builtin_clzll((uint64_t)size)) : 0;
}

static hw_site *find_site(const hw_call *call) {
    const int64_t m = power_below(call->m), n = power_below(call->n), k = call->k;
    const char *symbol = call->entry->symbol;
    const uint32_t used = file->header.sites_used;
    for (uint32_t i = 0; i < used && i < HW_SITES; i++) {
        hw_site *site = &file->sites[i];
        if (site->k == k && site->m == m && site->n == n
            && strncmp(site->symbol, symbol, sizeof site->symbol - 1) == 0)
            return site;
    }
    hw_site *site = &file->sites[used < HW_SITES ? used : HW_SITES];
    if (used < HW_SITES)
        start_site(site, symbol, m, n, k);
    else if (used == HW_SITES)
        start_site(site, "other", -1, -1, -1);
    if (used <= HW_SITES)
        file->header.sites_used = used + 1;
    return site;
}

hw_site *hw_site_enter(const hw_call *call) {
    pthread_mutex_lock(&lock);
    if (file == NULL && !broken) {
        file = make_file(call->config->folder);
        broken = file == NULL;
        if (broken)
            hw_say("cannot write a profile to %s; nothing is profiled", call->config->folder);
    }
    if (file == NULL) {
        pthread_mutex_unlock(&lock);
        return NULL;
    }
    return find_site(call);
}

void hw_site_leave(void) { pthread_mutex_unlock(&lock); }

void hw_profile_forked(void) {
    /* The parent's other threads are gone, and with them whatever lock they held. */
    pthread_mutex_init(&lock, NULL);
    if (file != NULL)
        munmap(file, sizeof *file);
    file = NULL;
    broken = false;
}
