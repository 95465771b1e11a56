/* Work shared among threads that wait for it. */
#ifndef HWGEN_POOL_H
#define HWGEN_POOL_H

#include <stdint.h>

typedef void pool_task(void *context, int64_t index);

/* Processor cores of this machine. */
int pool_cores(void);

/*
 * Calls task(context, index) for every index below count, on up to `threads` threads, the caller's
 * among them; 0 takes as many as the machine has. Tasks run in the default floating-point
 * environment. Returns when all are done.
 */
void pool_run(pool_task *task, void *context, int64_t count, int threads);

#endif
