/*
 * Products on a device: patterns of the operands, tile by tile, zeros where tiles stick out.
 *
 * There is one device and one call at a time. All tiles of a product have the same number of terms
 * and run back to back, so the array's pipeline never drains between them.
 */
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "library.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static hwgen_device *device;
static hwgen_device_run_fn *device_run;
static hwgen_device_state_fn *device_state;
static hwgen_device_state state; /* rows and columns do not change */
static bool broken; /* it could not be opened: do not try at each call */

/* Bytes of operand patterns that are handed over at once. */
static const int64_t STAGE_BYTES = 16 << 20;

static bool open_device(const char *path) {
    char error[256] = "no hwgen_device_open, _run, _state in it";
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        hw_say("cannot load the device: %s", dlerror());
        return false;
    }
    hwgen_device_open_fn *open = (hwgen_device_open_fn *)dlsym(library, "hwgen_device_open");
    device_run = (hwgen_device_run_fn *)dlsym(library, "hwgen_device_run");
    device_state = (hwgen_device_state_fn *)dlsym(library, "hwgen_device_state");
    if (open != NULL && device_run != NULL && device_state != NULL)
        device = open(error, sizeof error);
    if (device == NULL) {
        hw_say("cannot open the device in %s: %s", path, error);
        return false;
    }
    device_state(device, &state);
    return true;
}

void hw_device_forked(void) {
    pthread_mutex_init(&lock, NULL);
    device = NULL;
    broken = false;
}

/* --- one product --------------------------------------------------------------------------- */

/* One operand as patterns: tile by tile, beat by beat, `lanes * dot` patterns a beat. */
typedef struct {
    size_t bytes; /* of a pattern */
    int64_t lanes, tiles;
    char *patterns;
    uint8_t *invalid; /* a lane that holds NaN, which its format cannot say */
} tiled;

typedef struct {
    const hwgen_datapath *datapath;
    hwgen_scalar scalar;
    int64_t m, n, k;
    int64_t beats; /* of a block */
    tiled a, b;
    void *c;
    int64_t ldc;
} product;

static size_t tile_bytes(const product *p, const tiled *operand) {
    return (size_t)(p->beats * operand->lanes * state.dot) * operand->bytes;
}

static char *tile_start(const product *p, const tiled *operand, int64_t tile) {
    return operand->patterns + (size_t)tile * tile_bytes(p, operand);
}

/* Where a term of a lane stands in its tile. */
static size_t term_place(const tiled *operand, int64_t lane, int64_t term) {
    const int64_t beat = term / state.dot;
    return (size_t)((beat * operand->lanes + lane) * state.dot + term % state.dot);
}

/* Encodes `count` vectors of `terms` numbers, a vector a lane. */
static int encode_operand(const product *p, hwgen_side side, int64_t count, const void *data,
                          int64_t lane_stride, int64_t term_stride, int64_t lanes, tiled *result) {
    const size_t size = hwgen_pattern_bytes(p->datapath, side);
    result->bytes = size;
    result->lanes = lanes;
    result->tiles = (count + lanes - 1) / lanes;
    result->patterns = calloc((size_t)result->tiles, tile_bytes(p, result));
    result->invalid = calloc((size_t)(result->tiles * lanes), 1);
    char *vector = malloc((size_t)p->k * size);
    const bool room = result->patterns != NULL && result->invalid != NULL && vector != NULL;
    for (int64_t i = 0; room && i < count; i++) {
        const int64_t offset = i * lane_stride * (int64_t)hw_scalar_bytes(p->scalar);
        const int status = hwgen_encode(p->datapath, side, p->scalar, p->k,
                                        (const char *)data + offset, term_stride, vector);
        result->invalid[i] = (status & HWGEN_INVALID) != 0;
        char *tile = tile_start(p, result, i / lanes);
        for (int64_t term = 0; term < p->k; term++)
            memcpy(tile + term_place(result, i % lanes, term) * size,
                   vector + (size_t)term * size, size);
    }
    free(vector);
    return room ? HWGEN_OK : HWGEN_NO_MEMORY;
}

static void set_nan(const product *p, int64_t i, int64_t j) {
    if (p->scalar == HWGEN_FLOAT32)
        ((float *)p->c)[i * p->ldc + j] = NAN;
    else
        ((double *)p->c)[i * p->ldc + j] = NAN;
}

/* Puts one tile of results where it belongs. */
static void decode_tile(const product *p, int64_t tile, const char *patterns,
                        const uint8_t *status) {
    const size_t size = hwgen_pattern_bytes(p->datapath, HWGEN_OUT);
    const int64_t top = tile / p->b.tiles * state.rows, left = tile % p->b.tiles * state.cols;
    const int64_t wide = p->n - left < state.cols ? p->n - left : state.cols;
    for (int64_t row = 0; row < state.rows && top + row < p->m; row++) {
        const int64_t first = row * state.cols;
        const int64_t offset = (top + row) * p->ldc + left;
        hwgen_decode(p->datapath, HWGEN_OUT, p->scalar, wide, patterns + (size_t)first * size,
                     (char *)p->c + offset * (int64_t)hw_scalar_bytes(p->scalar), 1);
        for (int64_t j = 0; j < wide; j++)
            if ((status[first + j] & HWGEN_INVALID) || p->a.invalid[top + row]
                || p->b.invalid[left + j])
                set_nan(p, top + row, left + j);
    }
}

/* Room for the blocks of one run of the device. */
typedef struct {
    int64_t blocks;
    char *a, *b, *c;
    uint8_t *status;
} stage;

static bool make_stage(const product *p, stage *room) {
    const size_t a = tile_bytes(p, &p->a), b = tile_bytes(p, &p->b);
    const size_t cells = (size_t)(state.rows * state.cols);
    const int64_t tiles = p->a.tiles * p->b.tiles;
    const int64_t fitting = STAGE_BYTES / (int64_t)(a + b);
    const size_t blocks = (size_t)(fitting < 1 ? 1 : fitting < tiles ? fitting : tiles);
    room->blocks = (int64_t)blocks;
    room->a = malloc(blocks * a);
    room->b = malloc(blocks * b);
    room->c = malloc(blocks * cells * hwgen_pattern_bytes(p->datapath, HWGEN_OUT));
    room->status = malloc(blocks * cells);
    return room->a != NULL && room->b != NULL && room->c != NULL && room->status != NULL;
}

static int run_tiles(const product *p, const stage *room) {
    const size_t a = tile_bytes(p, &p->a), b = tile_bytes(p, &p->b);
    const size_t cells = (size_t)(state.rows * state.cols);
    const size_t size = hwgen_pattern_bytes(p->datapath, HWGEN_OUT);
    const int64_t tiles = p->a.tiles * p->b.tiles;
    for (int64_t first = 0; first < tiles; first += room->blocks) {
        const int64_t blocks = tiles - first < room->blocks ? tiles - first : room->blocks;
        for (int64_t i = 0; i < blocks; i++) {
            const int64_t tile = first + i;
            memcpy(room->a + (size_t)i * a, tile_start(p, &p->a, tile / p->b.tiles), a);
            memcpy(room->b + (size_t)i * b, tile_start(p, &p->b, tile % p->b.tiles), b);
        }
        const int status = device_run(device, blocks, p->beats, room->a, room->b, room->c,
                                      room->status);
        if (status != HWGEN_OK)
            return HWGEN_DEVICE_FAILED;
        for (int64_t i = 0; i < blocks; i++)
            decode_tile(p, first + i, room->c + (size_t)i * cells * size,
                        room->status + (size_t)i * cells);
    }
    return HWGEN_OK;
}

static int run_locked(product *p, hwgen_matrix a, hwgen_matrix b) {
    if (device == NULL && !broken)
        broken = !open_device(hw_config_get()->device);
    if (broken)
        return HWGEN_DEVICE_FAILED;
    stage room = {0};
    p->beats = (p->k + state.dot - 1) / state.dot;
    int status = encode_operand(p, HWGEN_A, p->m, a.data, a.row, a.column, state.rows, &p->a);
    if (status == HWGEN_OK)
        status = encode_operand(p, HWGEN_B, p->n, b.data, b.column, b.row, state.cols, &p->b);
    if (status == HWGEN_OK)
        status = make_stage(p, &room) ? run_tiles(p, &room) : HWGEN_NO_MEMORY;
    device_state(device, &state);
    hw_count_device(&state);
    free(room.a);
    free(room.b);
    free(room.c);
    free(room.status);
    free(p->a.patterns);
    free(p->a.invalid);
    free(p->b.patterns);
    free(p->b.invalid);
    return status;
}

int hw_device_product(const hwgen_datapath *datapath, hwgen_scalar scalar, int64_t m, int64_t n,
                      int64_t k, hwgen_matrix a, hwgen_matrix b, void *c, int64_t ldc) {
    /* A raw register is no number. */
    if (hwgen_pattern_bytes(datapath, HWGEN_OUT) > 8)
        return HWGEN_UNSUPPORTED;
    product p = {.datapath = datapath, .scalar = scalar, .m = m, .n = n, .k = k, .c = c,
                 .ldc = ldc};
    pthread_mutex_lock(&lock);
    const int status = run_locked(&p, a, b);
    pthread_mutex_unlock(&lock);
    return status;
}
