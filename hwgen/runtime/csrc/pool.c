/*
 * Threads are made when they are first asked for and then wait. One call at a time has them; a call
 * that finds them busy does its work alone. After a fork the child makes its own.
 */
#include "pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "environment.h"

enum {
    MAX_HELPERS = 255,
    SPINS = 2000, /* some ten microseconds, in which the next batch of a call usually comes */
};

typedef struct {
    pool_task *task;
    void *context;
    int64_t count;
    int64_t next; /* atomic */
} batch;

static struct {
    pthread_mutex_t busy; /* held by the call that has the helpers */
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t posted;
    pthread_cond_t finished;
    int helpers;
    batch *current;
    uint64_t number; /* of the current batch, so that each helper joins it once */
    int wanted;      /* helpers that may still join */
    int working;
} pool = {
    .busy = PTHREAD_MUTEX_INITIALIZER,
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .posted = PTHREAD_COND_INITIALIZER,
    .finished = PTHREAD_COND_INITIALIZER,
};

/* A thread starts in the environment of its maker, so that every one enters its own. */
static void work(batch *self) {
    environment found = environment_enter();
    for (;;) {
        int64_t index = __atomic_fetch_add(&self->next, 1, __ATOMIC_RELAXED);
        if (index >= self->count)
            break;
        self->task(self->context, index);
    }
    environment_leave(found);
}

/* Under the lock; atomic for those who spin. */
static int count_working(int more) {
    int working = pool.working + more;
    __atomic_store_n(&pool.working, working, __ATOMIC_RELAXED);
    return working;
}

static bool is_number(uint64_t seen) {
    return __atomic_load_n(&pool.number, __ATOMIC_RELAXED) == seen;
}

static void pause_briefly(void) {
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
}

static void *help(void *unused) {
    uint64_t seen = 0;
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        if (is_number(seen)) { /* going to sleep and being woken takes longer than this */
            pthread_mutex_unlock(&pool.lock);
            for (int i = 0; i < SPINS && is_number(seen); i++)
                pause_briefly();
            pthread_mutex_lock(&pool.lock);
        }
        while (pool.current == NULL || pool.number == seen || pool.wanted == 0)
            pthread_cond_wait(&pool.posted, &pool.lock);
        batch *mine = pool.current;
        seen = pool.number;
        pool.wanted--;
        count_working(1);
        pthread_mutex_unlock(&pool.lock);
        work(mine);
        pthread_mutex_lock(&pool.lock);
        if (count_working(-1) == 0)
            pthread_cond_signal(&pool.finished);
    }
    return unused;
}

/* In the child no helper exists, and the locks may have been held by threads that are gone. */
static void forget(void) {
    pthread_mutex_init(&pool.busy, NULL);
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.posted, NULL);
    pthread_cond_init(&pool.finished, NULL);
    pool.helpers = 0;
    pool.current = NULL;
    pool.working = pool.wanted = 0;
}

static void watch_forks(void) {
    pthread_atfork(NULL, NULL, forget);
}

static void make_helpers(int count) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    while (pool.helpers < count) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, help, NULL) != 0)
            return; /* fewer do the work too */
        pthread_detach(thread);
        pool.helpers++;
    }
}

static void share(batch *self, int helpers) {
    pthread_mutex_lock(&pool.lock);
    make_helpers(helpers);
    pool.current = self;
    __atomic_store_n(&pool.number, pool.number + 1, __ATOMIC_RELAXED);
    pool.wanted = helpers;
    pthread_cond_broadcast(&pool.posted);
    pthread_mutex_unlock(&pool.lock);
    work(self);
    for (int i = 0; i < SPINS && __atomic_load_n(&pool.working, __ATOMIC_RELAXED) > 0; i++)
        pause_briefly();
    pthread_mutex_lock(&pool.lock);
    pool.current = NULL;
    pool.wanted = 0;
    while (pool.working > 0)
        pthread_cond_wait(&pool.finished, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
}

int pool_cores(void) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : (int)cores;
}

void pool_run(pool_task *task, void *context, int64_t count, int threads) {
    batch self = {.task = task, .context = context, .count = count};
    if (threads == 0)
        threads = pool_cores();
    if (threads > count)
        threads = (int)count;
    if (threads > MAX_HELPERS + 1)
        threads = MAX_HELPERS + 1;
    if (threads > 1 && pthread_mutex_trylock(&pool.busy) == 0) {
        share(&self, threads - 1);
        pthread_mutex_unlock(&pool.busy);
    } else {
        work(&self);
    }
}
