/*
 * A device for tests: rows x cols = 3 x 5, computed by the portable kernels. FAKE_DATAPATH describes
 * its datapath, FAKE_DOT says how many terms a beat has. FAKE_DEVICE says what
 * is wrong with it: "closed" does not open, "broken" fails at its second run, "wrong" gives a result
 * with a wrong bit, "slow" asserts that calls do not overlap.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hwgen.h"

enum { ROWS = 3, COLS = 5 };

struct hwgen_device {
    hwgen_datapath *datapath;
    int runs;
    int inside;
    uint64_t beats;
};

static int is(const char *fault) {
    const char *said = getenv("FAKE_DEVICE");
    return said != NULL && strcmp(said, fault) == 0;
}

hwgen_device *hwgen_device_open(char *error, size_t size) {
    if (is("closed")) {
        strncpy(error, "it is broken", size);
        return NULL;
    }
    hwgen_device *device = calloc(1, sizeof *device);
    device->datapath = hwgen_datapath_read(getenv("FAKE_DATAPATH"), error, size);
    return device->datapath != NULL ? device : NULL;
}

static int64_t dot(void) {
    return atoi(getenv("FAKE_DOT"));
}

/* A matrix of beats, each with dot() terms of a lane and then those of the next one. */
static char *matrix_of(const char *beats, int64_t terms, int64_t lanes, size_t bytes,
                       int64_t lane_stride, int64_t term_stride) {
    char *matrix = malloc((size_t)(terms * lanes) * bytes);
    for (int64_t term = 0; term < terms; term++)
        for (int64_t lane = 0; lane < lanes; lane++) {
            const int64_t place = (term / dot() * lanes + lane) * dot() + term % dot();
            memcpy(matrix + (size_t)(lane * lane_stride + term * term_stride) * bytes,
                   beats + (size_t)place * bytes, bytes);
        }
    return matrix;
}

static void run_block(hwgen_device *device, int64_t terms, const char *a, const char *b, char *c,
                      uint8_t *status) {
    char *rows = matrix_of(a, terms, ROWS, hwgen_pattern_bytes(device->datapath, HWGEN_A), terms, 1);
    char *cols = matrix_of(b, terms, COLS, hwgen_pattern_bytes(device->datapath, HWGEN_B), 1, COLS);
    hwgen_gemm_bits(device->datapath, ROWS, COLS, terms, rows, cols, c, status, "portable", 1);
    free(rows);
    free(cols);
}

int hwgen_device_run(hwgen_device *device, int64_t blocks, int64_t beats, const void *a,
                     const void *b, void *c, uint8_t *status) {
    if (__sync_fetch_and_add(&device->inside, 1) != 0)
        abort();
    if (is("slow"))
        usleep(1000);
    if (is("broken") && ++device->runs >= 2) {
        __sync_fetch_and_sub(&device->inside, 1);
        return HWGEN_DEVICE_FAILED;
    }
    const int64_t terms = beats * dot();
    const size_t size_a = (size_t)(terms * ROWS) * hwgen_pattern_bytes(device->datapath, HWGEN_A);
    const size_t size_b = (size_t)(terms * COLS) * hwgen_pattern_bytes(device->datapath, HWGEN_B);
    const size_t size_c = ROWS * COLS * hwgen_pattern_bytes(device->datapath, HWGEN_OUT);
    for (int64_t i = 0; i < blocks; i++)
        run_block(device, terms, (const char *)a + (size_t)i * size_a,
                  (const char *)b + (size_t)i * size_b, (char *)c + (size_t)i * size_c,
                  status + i * ROWS * COLS);
    if (is("wrong"))
        ((char *)c)[0] ^= 1;
    device->beats += (uint64_t)(blocks * beats);
    __sync_fetch_and_sub(&device->inside, 1);
    return HWGEN_OK;
}

void read_state(const hwgen_device *device, hwgen_device_state *state)
    __asm__("hwgen_device_state"); /* in C the type has taken the name */

void read_state(const hwgen_device *device, hwgen_device_state *state) {
    memset(state, 0, sizeof *state);
    state->rows = ROWS;
    state->cols = COLS;
    state->dot = dot();
    state->beats = device->beats;
    state->cycles = device->beats + 7;
}
