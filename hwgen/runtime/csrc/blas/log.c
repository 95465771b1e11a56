/* The log of calls, and the comparison with the original library that `check` asks for. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library.h"

/*
 * The program may close every file that it does not know, as daemons do, and get our number for one
 * of its own: the log is known by its inode, not by its number.
 */
static _Atomic(int) number = -1;
static dev_t device;
static ino_t inode;

bool hw_log_open(const char *path) {
    struct stat found;
    const int opened = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (opened < 0)
        return false;
    /* Where standard output is closed its number is free, and not ours to take. */
    const int above = fcntl(opened, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close(opened);
    if (above < 0 || fstat(above, &found) != 0)
        return false;
    device = found.st_dev;
    inode = found.st_ino;
    number = above;
    return true;
}

/* The log, opened again where it was closed; -1 if that fails. */
static int log_file(const char *path) {
    struct stat found;
    const int known = number;
    if (known >= 0 && fstat(known, &found) == 0 && found.st_dev == device
        && found.st_ino == inode)
        return known;
    return hw_log_open(path) ? number : -1;
}

static size_t append(char *line, size_t length, size_t size, const char *text) {
    const size_t room = size - length;
    const int written = snprintf(line + length, room, "%s", text);
    return written < 0 || (size_t)written >= room ? size - 1 : length + (size_t)written;
}

static size_t append_error(char *line, size_t length, size_t size, double error) {
    char text[64];
    if (error < 0)
        return length;
    /* JSON has no infinities. */
    if (isfinite(error))
        snprintf(text, sizeof text, ",\"max_relative_error\":%.6g", error);
    else
        snprintf(text, sizeof text, ",\"max_relative_error\":null");
    return append(line, length, size, text);
}

void hw_log_call(const hw_call *call, const char *ran, double error) {
    char line[512];
    if (call->config->log == NULL)
        return;
    int start = snprintf(line, sizeof line,
                         "{\"pid\":%ld,\"symbol\":\"%s\",\"m\":%lld,\"n\":%lld,\"k\":%lld,"
                         "\"batch\":%lld,\"ran\":\"%s\",\"seconds\":%.9f",
                         (long)getpid(), call->entry->symbol, (long long)call->m,
                         (long long)call->n, (long long)call->k, (long long)call->batch, ran,
                         call->seconds);
    size_t length = append_error(line, (size_t)start, sizeof line, error);
    if (call->reason != NULL) {
        length = append(line, length, sizeof line, ",\"reason\":\"");
        length = append(line, length, sizeof line, call->reason);
        length = append(line, length, sizeof line, "\"");
    }
    length = append(line, length, sizeof line, "}\n");
    const int file = log_file(call->config->log);
    const ssize_t written = file >= 0 ? write(file, line, length) : 0;
    (void)written;
}

/* --- check --------------------------------------------------------------------------------- */

/* Line `line` of matrix `index` of what a call writes. */
static char *region_line(const hw_region *region, int64_t index, int64_t line) {
    void *matrix = region->list != NULL ? region->list[index]
                                        : hw_place(region->data, region->letter,
                                                   index * region->stride);
    return hw_place(matrix, region->letter, line * region->line_stride);
}

static size_t line_bytes(const hw_region *region) {
    return (size_t)region->length * hw_element_bytes(region->letter);
}

bool hw_check_save(hw_call *call) {
    const hw_region *region = &call->out;
    const size_t bytes = line_bytes(region);
    char *saved = malloc(bytes * (size_t)(region->lines * region->count) + 1);
    call->saved = saved;
    if (saved == NULL)
        return false;
    for (int64_t i = 0; i < region->count; i++)
        for (int64_t line = 0; line < region->lines; line++, saved += bytes)
            memcpy(saved, region_line(region, i, line), bytes);
    return true;
}

void hw_check_exchange(hw_call *call) {
    const hw_region *region = &call->out;
    const size_t bytes = line_bytes(region);
    char *saved = call->saved;
    for (int64_t i = 0; i < region->count; i++)
        for (int64_t line = 0; line < region->lines; line++, saved += bytes) {
            char *here = region_line(region, i, line);
            for (size_t byte = 0; byte < bytes; byte++) {
                const char other = saved[byte];
                saved[byte] = here[byte];
                here[byte] = other;
            }
        }
}

typedef struct {
    double error, largest;
} difference;

/* Compares element `i` of two lines; equal infinities and two NaNs do not differ. */
static void compare_element(char letter, const char *ours, const char *theirs, int64_t i,
                            difference *found) {
    double x[2], y[2];
    hw_load(letter, hw_at(ours, letter, i), x);
    hw_load(letter, hw_at(theirs, letter, i), y);
    for (int part = 0; part < 1 + hw_is_complex(letter); part++) {
        if (isfinite(y[part]) && fabs(y[part]) > found->largest)
            found->largest = fabs(y[part]);
        if (x[part] == y[part] || (isnan(x[part]) && isnan(y[part])))
            continue;
        const double error = fabs(x[part] - y[part]);
        if (!(error <= found->error))
            found->error = isnan(error) ? INFINITY : error;
    }
}

double hw_check_compare(hw_call *call) {
    const hw_region *region = &call->out;
    const size_t bytes = line_bytes(region);
    difference found = {0, 0};
    const char *ours = call->saved;
    for (int64_t i = 0; i < region->count; i++)
        for (int64_t line = 0; line < region->lines; line++, ours += bytes) {
            const char *theirs = region_line(region, i, line);
            const int64_t first = region->part == HW_LOWER ? line : 0;
            const int64_t end = region->part == HW_UPPER ? line + 1 : region->length;
            for (int64_t j = first; j < end; j++)
                compare_element(region->letter, ours, theirs, j, &found);
        }
    hw_check_exchange(call);
    free(call->saved);
    call->saved = NULL;
    return found.error == 0 ? 0 : found.error / found.largest;
}
