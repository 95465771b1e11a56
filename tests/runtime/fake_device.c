/*
 * A device for tests: rows x cols = 3 x 5, computed by the portable kernels. FAKE_DEVICE says what
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

static void run_block(hwgen_device *device, int64_t terms, const char *a, const char *b, char *c,
                      uint8_t *status) {
    const size_t bytes = hwgen_pattern_bytes(device->datapath, HWGEN_A);
    char *rows = malloc((size_t)(terms * ROWS) * bytes);
    for (int64_t term = 0; term < terms; term++)
        for (int64_t row = 0; row < ROWS; row++)
            memcpy(rows + (size_t)(row * terms + term) * bytes,
                   a + (size_t)(term * ROWS + row) * bytes, bytes);
    hwgen_gemm_bits(device->datapath, ROWS, COLS, terms, rows, b, c, status, "portable", 1);
    free(rows);
}

int hwgen_device_run(hwgen_device *device, int64_t blocks, int64_t terms, const void *a,
                     const void *b, void *c, uint8_t *status) {
    if (__sync_fetch_and_add(&device->inside, 1) != 0)
        abort();
    if (is("slow"))
        usleep(1000);
    if (is("broken") && ++device->runs >= 2) {
        __sync_fetch_and_sub(&device->inside, 1);
        return HWGEN_DEVICE_FAILED;
    }
    const size_t size_a = (size_t)(terms * ROWS) * hwgen_pattern_bytes(device->datapath, HWGEN_A);
    const size_t size_b = (size_t)(terms * COLS) * hwgen_pattern_bytes(device->datapath, HWGEN_B);
    const size_t size_c = ROWS * COLS * hwgen_pattern_bytes(device->datapath, HWGEN_OUT);
    for (int64_t i = 0; i < blocks; i++)
        run_block(device, terms, (const char *)a + (size_t)i * size_a,
                  (const char *)b + (size_t)i * size_b, (char *)c + (size_t)i * size_c,
                  status + i * ROWS * COLS);
    if (is("wrong"))
        ((char *)c)[0] ^= 1;
    device->beats += (uint64_t)(blocks * terms);
    __sync_fetch_and_sub(&device->inside, 1);
    return HWGEN_OK;
}

void read_state(const hwgen_device *device, hwgen_device_state *state)
    __asm__("hwgen_device_state"); /* in C the type has taken the name */

void read_state(const hwgen_device *device, hwgen_device_state *state) {
    memset(state, 0, sizeof *state);
    state->rows = ROWS;
    state->cols = COLS;
    state->beats = device->beats;
    state->cycles = device->beats + 7;
}
