#include "memory.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    ALIGNMENT = 64,
    KEPT = 6,
    MOST_KEPT_BYTES = 8 << 20, /* of each */
    LEAST_KEPT_BYTES = 1 << 16,
};

/* Whoever finds it locked, by another thread or by one that a fork has lost, does without. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static memory kept[KEPT];

static memory take_kept(size_t bytes) {
    memory found = {NULL, 0};
    if (bytes < LEAST_KEPT_BYTES || bytes > MOST_KEPT_BYTES || pthread_mutex_trylock(&lock) != 0)
        return found;
    int best = -1;
    for (int i = 0; i < KEPT; i++)
        if (kept[i].size >= bytes && (best < 0 || kept[i].size < kept[best].size))
            best = i;
    if (best >= 0) {
        found = kept[best];
        kept[best] = (memory){NULL, 0};
    }
    pthread_mutex_unlock(&lock);
    return found;
}

memory memory_take(size_t bytes) {
    bytes = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT; /* never 0 */
    memory self = take_kept(bytes);
    if (self.start == NULL)
        self = (memory){aligned_alloc(ALIGNMENT, bytes), bytes};
    if (self.start == NULL)
        self.size = 0; /* nothing to be kept */
    return self;
}

void memory_give(memory self) {
    if (self.size >= LEAST_KEPT_BYTES && self.size <= MOST_KEPT_BYTES &&
        pthread_mutex_trylock(&lock) == 0) {
        /* In the place of the smallest, which may be none. */
        int least = 0;
        for (int i = 1; i < KEPT; i++)
            if (kept[i].size < kept[least].size)
                least = i;
        if (kept[least].size < self.size) {
            memory out = kept[least];
            kept[least] = self;
            self = out;
        }
        pthread_mutex_unlock(&lock);
    }
    free(self.start);
}

void *memory_part(void *start, size_t *used, size_t bytes) {
    void *part = start == NULL ? NULL : (char *)start + *used;
    *used += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return part;
}
