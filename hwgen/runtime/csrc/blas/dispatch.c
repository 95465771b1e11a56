/* Decides call by call: our arithmetic, or the original library. */
#include <stdlib.h>
#include <time.h>

#include "profile.h"

enum { FRESH, UNCOUNTED, FORWARDED, CHECKED };

/*
 * How many original functions this thread is inside. What they call in turn (cblas_sgemm calls
 * sgemm_) reaches us again, and goes straight on: it is part of a call already decided.
 */
static __thread int depth;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void stop_clock(hw_call *call) {
    call->seconds = (double)(now_ns() - call->started_ns) * 1e-9;
}

/* Computes on plain loops: for programs whose BLAS is nowhere to be found. */
static void run_on_loops(hw_call *call) {
    call->on = HW_ON_LOOPS;
    if (call->run(call) != HWGEN_OK) {
        /* Only memory can be short, and nothing right could be returned. */
        hw_say("%s: out of memory, and there is no other BLAS; giving up", call->entry->symbol);
        abort();
    }
}

static bool pass_on(hw_call *call) {
    call->native = hw_original(call->fallback, call->caller);
    if (call->native == NULL && call->illegal != 0)
        hw_illegal_argument(call->entry, call->illegal);
    else if (call->native == NULL)
        run_on_loops(call);
    call->state = UNCOUNTED;
    return call->native != NULL;
}

static const char *fault_name(int fault) {
    switch (fault) {
    case HWGEN_NO_MEMORY: return "out of memory";
    case HWGEN_UNSUPPORTED: return "the datapath cannot";
    case HWGEN_DEVICE_FAILED: return "the device failed";
    default: return "internal error";
    }
}

/* Only the first fault of a process is told; all are counted. */
static void tell_fault(const hw_call *call, int fault) {
    static _Atomic(bool) told;
    if (!atomic_exchange(&told, true))
        hw_say("%s (m=%lld n=%lld k=%lld): %s; computed natively, as further faults will be,"
               " which are only counted", call->entry->symbol, (long long)call->m,
               (long long)call->n, (long long)call->k, fault_name(fault));
}

/* Hands the call to the original library; with legal arguments it comes back. */
static bool forward(hw_call *call, bool failed) {
    call->native = hw_original(call->fallback, call->caller);
    if (call->native != NULL) {
        hw_count_forwarded(call, failed);
        call->state = FORWARDED;
        depth++;
        return true;
    }
    run_on_loops(call);
    stop_clock(call);
    hw_count_forwarded(call, failed);
    hw_log_call(call, "native", -1);
    return false;
}

/* The original says what is wrong, in its own way; it may leave by longjmp, as R's does. */
static bool refuse(hw_call *call) {
    call->reason = "illegal argument";
    call->operations = 0;
    hw_count_forwarded(call, false);
    stop_clock(call);
    hw_log_call(call, "native", -1);
    return pass_on(call);
}

static bool serve(hw_call *call) {
    const bool check = call->config->check && hw_check_save(call);
    const int status = call->run(call);
    stop_clock(call);
    if (status != HWGEN_OK) {
        free(call->saved);
        call->saved = NULL;
        call->reason = fault_name(status);
        tell_fault(call, status);
        return forward(call, true);
    }
    if (call->fault != HWGEN_OK) {
        call->reason = "finished natively";
        tell_fault(call, call->fault);
    }
    hw_count_served(call);
    if (check) {
        call->native = hw_original(call->fallback, call->caller);
        if (call->native != NULL) {
            hw_check_exchange(call);
            call->state = CHECKED;
            depth++;
            return true;
        }
        free(call->saved);
    }
    hw_log_call(call, call->on == HW_ON_DEVICE ? "rtl" : "c", -1);
    return false;
}

static bool start(hw_call *call) {
    call->config = hw_config_get();
    if (call->config == NULL || depth > 0)
        return pass_on(call);
    call->started_ns = now_ns();
    if (call->illegal != 0)
        return refuse(call);
    call->reason = hw_config_refusal(call->config, call->entry->precision, call->m, call->n,
                                     call->k);
    call->profiling = call->config->profile && call->reason == NULL;
    if (call->config->native && call->profiling)
        hw_profile_call(call);
    if (call->reason != NULL || call->config->native)
        return forward(call, false);
    call->on = call->config->device != NULL ? HW_ON_DEVICE : HW_ON_KERNELS;
    return serve(call);
}

bool hw_step(hw_call *call) {
    switch (call->state) {
    case FRESH:
        return start(call);
    case FORWARDED:
        depth--;
        stop_clock(call);
        hw_log_call(call, "native", -1);
        return false;
    case CHECKED:
        depth--;
        const double error = hw_check_compare(call);
        hw_count_error(call, error);
        hw_log_call(call, call->on == HW_ON_DEVICE ? "rtl" : "c", error);
        return false;
    default:
        return false;
    }
}
