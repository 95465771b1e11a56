/*
 * Large work arrays. A few are kept for the next call: what malloc has given back to the system
 * would be cleared by it, page by page, each time.
 */
#ifndef HWGEN_MEMORY_H
#define HWGEN_MEMORY_H

#include <stddef.h>

typedef struct {
    void *start; /* aligned for vectors; NULL if there was none left */
    size_t size;
} memory;

memory memory_take(size_t bytes);
void memory_give(memory self);

/* The next part of a work array, aligned for vectors; only counts while `start` is NULL. */
void *memory_part(void *start, size_t *used, size_t bytes);

#endif
