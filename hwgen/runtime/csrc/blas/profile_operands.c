/*
 * $HWGEN_RUN/operands.<pid>.<n>: some operands of a call site, for measuring energy with.
 *
 * Layout (little-endian, no gaps): `hw_operands`, then rows x terms and terms x cols doubles.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profile.h"

enum {
    MOST_LINES = 32,  /* rows of A, columns of B: spread over all there are */
    MOST_TERMS = 512, /* the first of K */
    MOST_FILES = 64,  /* of a process; a file has a quarter of a megabyte at most */
};

typedef struct {
    char magic[8];
    char symbol[40];
    int64_t m, n, k; /* as in the record of the site */
    int64_t rows, terms, cols;
} hw_operands;

_Static_assert(sizeof(hw_operands) == 96, "hwgen.explore.recorded reads this header");

static int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }

/* Opens the next file of this process; after exec() those of the former program are there. */
static int open_next(const char *folder) {
    char path[PATH_MAX];
    for (int next = 0; next < MOST_FILES; next++) {
        snprintf(path, sizeof path, "%s/operands.%ld.%d", folder, (long)getpid(), next);
        const int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 || errno != EEXIST)
            return file;
    }
    return -1;
}

/* In one piece, so that a file is whole unless the disk is full; a short one is not read. */
static void write_all(int file, const char *data, size_t bytes) {
    while (bytes > 0) {
        const ssize_t done = write(file, data, bytes);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;
        data += done;
        bytes -= (size_t)done;
    }
}

void hw_record_operands(const char *folder, const hw_site *site, hwgen_scalar scalar, int64_t m,
                        int64_t n, int64_t k, hwgen_matrix a, hwgen_matrix b) {
    hw_operands header = {.m = site->m, .n = site->n, .k = site->k};
    header.rows = smaller(m, MOST_LINES);
    header.terms = smaller(k, MOST_TERMS);
    header.cols = smaller(n, MOST_LINES);
    memcpy(header.magic, "hwoperan", sizeof header.magic);
    memcpy(header.symbol, site->symbol, sizeof header.symbol);
    const size_t count = (size_t)((header.rows + header.cols) * header.terms);
    const size_t bytes = sizeof header + count * sizeof(double);
    const int saved = errno;
    char *data = count > 0 ? malloc(bytes) : NULL;
    const int file = data != NULL ? open_next(folder) : -1;
    if (file >= 0) {
        memcpy(data, &header, sizeof header);
        double *number = (double *)(data + sizeof header);
        for (int64_t i = 0; i < header.rows; i++)
            for (int64_t l = 0; l < header.terms; l++)
                *number++ = hw_number(scalar, a, i * m / header.rows, l);
        for (int64_t l = 0; l < header.terms; l++)
            for (int64_t j = 0; j < header.cols; j++)
                *number++ = hw_number(scalar, b, l, j * n / header.cols);
        write_all(file, data, bytes);
        close(file);
    }
    free(data);
    errno = saved;
}
