/*
 * $HWGEN_RUN/counters.<pid>: what each symbol did, in a mapped file, so that it outlives a crash.
 * After exec() the process goes on in counters.<pid>.1, and so on.
 *
 * Layout (little-endian, no gaps): `file_header`, the device's `device_record`, then `records_used`
 * records. A record is complete before `records_used` counts it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "library.h"

enum { VERSION = 2, MAX_RECORDS = 1024 /* more than symbols */ };

typedef struct {
    char magic[8];
    uint32_t version;
    uint32_t record_bytes;
    _Atomic(uint32_t) records_used;
    uint32_t pad;
} file_header;

typedef struct {
    char symbol[40];
    _Atomic(uint64_t) served_calls, served_operations;
    _Atomic(uint64_t) forwarded_calls, forwarded_operations;
    _Atomic(uint64_t) failed_calls, seconds_ns;
    _Atomic(double) max_error;
} record;

typedef struct {
    _Atomic(uint64_t) cycles, beats, rows, cols, dot;
} device_record;

typedef struct {
    file_header header;
    device_record device;
    record records[MAX_RECORDS];
} counter_file;

_Static_assert(sizeof(record) == 96, "the launcher reads these records");
_Static_assert(sizeof(file_header) == 24, "the launcher reads this header");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Counts processes since the first: entries know by it that their record is not the parent's. */
static _Atomic(uint32_t) generation = 1;
static counter_file *file;
static bool broken; /* the file could not be made: nothing is counted */

/*
 * Not a hole in the file: on a full disk, writing there would kill the program. So would a file
 * larger than its limit.
 */
static bool reserve(int handle) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < sizeof(counter_file))
        return false;
    int status;
    do {
        status = posix_fallocate(handle, 0, sizeof(counter_file));
    } while (status == EINTR);
    return status == 0;
}

static counter_file *make_file(void) {
    char path[PATH_MAX];
    const char *folder = hw_config_get()->folder;
    snprintf(path, sizeof path, "%s/counters.%ld", folder, (long)getpid());
    int handle = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    /* After exec() the file of the former program stands in the way. */
    for (int next = 1; handle < 0 && errno == EEXIST && next < 1000; next++) {
        snprintf(path, sizeof path, "%s/counters.%ld.%d", folder, (long)getpid(), next);
        handle = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    if (handle < 0)
        return NULL;
    void *memory = MAP_FAILED;
    if (reserve(handle))
        memory = mmap(NULL, sizeof(counter_file), PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
    close(handle);
    if (memory == MAP_FAILED)
        return NULL;
    counter_file *made = memory;
    made->header.version = VERSION;
    made->header.record_bytes = sizeof(record);
    memcpy(made->header.magic, "hwgenrun", 8);
    return made;
}

/* With the lock held. */
static counter_file *current_file(void) {
    if (file == NULL && !broken) {
        file = make_file();
        broken = file == NULL;
        if (broken)
            hw_say("cannot write counters to %s; nothing is counted", hw_config_get()->folder);
    }
    return file;
}

static record *new_record(hw_entry *entry) {
    const uint32_t now = atomic_load_explicit(&generation, memory_order_relaxed);
    record *found = NULL;
    pthread_mutex_lock(&lock);
    const uint64_t known = atomic_load_explicit(&entry->record, memory_order_relaxed);
    counter_file *counters = current_file();
    if (counters != NULL && known >> 32 == now) {
        found = &counters->records[(uint32_t)known]; /* another thread was faster */
    } else if (counters != NULL && counters->header.records_used < MAX_RECORDS) {
        const uint32_t number = counters->header.records_used;
        found = &counters->records[number];
        snprintf(found->symbol, sizeof found->symbol, "%s", entry->symbol);
        atomic_store_explicit(&counters->header.records_used, number + 1, memory_order_release);
        atomic_store_explicit(&entry->record, (uint64_t)now << 32 | number, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return found;
}

static record *record_of(hw_entry *entry) {
    const uint64_t known = atomic_load_explicit(&entry->record, memory_order_acquire);
    if (known >> 32 == atomic_load_explicit(&generation, memory_order_relaxed))
        return &file->records[(uint32_t)known];
    return new_record(entry);
}

static void add(_Atomic(uint64_t) *counter, uint64_t amount) {
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

void hw_count_served(hw_call *call) {
    record *counted = record_of(call->entry);
    if (counted == NULL)
        return;
    add(&counted->served_calls, 1);
    add(&counted->served_operations, call->operations);
    add(&counted->seconds_ns, (uint64_t)(call->seconds * 1e9));
    if (call->fault != HWGEN_OK)
        add(&counted->failed_calls, 1);
}

void hw_count_forwarded(hw_call *call, bool failed) {
    record *counted = record_of(call->entry);
    if (counted == NULL)
        return;
    add(&counted->forwarded_calls, 1);
    add(&counted->forwarded_operations, call->operations);
    if (failed)
        add(&counted->failed_calls, 1);
}

void hw_count_error(hw_call *call, double error) {
    record *counted = record_of(call->entry);
    if (counted == NULL)
        return;
    double seen = atomic_load_explicit(&counted->max_error, memory_order_relaxed);
    while (error > seen && !atomic_compare_exchange_weak(&counted->max_error, &seen, error)) {
    }
}

void hw_count_device(const hwgen_device_state *state) {
    pthread_mutex_lock(&lock);
    counter_file *counters = current_file();
    if (counters != NULL) {
        counters->device.cycles = state->cycles;
        counters->device.beats = state->beats;
        counters->device.rows = (uint64_t)state->rows;
        counters->device.cols = (uint64_t)state->cols;
        counters->device.dot = (uint64_t)state->dot;
    }
    pthread_mutex_unlock(&lock);
}

void hw_counters_forked(void) {
    /* The parent's other threads are gone, and with them whatever lock they held. */
    pthread_mutex_init(&lock, NULL);
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
    if (file != NULL)
        munmap(file, sizeof *file);
    file = NULL;
    broken = false;
}
