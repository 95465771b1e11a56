/* Packs matrices for gemm_compute. */
#include <stdlib.h>
#include <string.h>

#include "pack.h"

enum { NO_TRANSPOSE = 111, TRANSPOSE = 112 };

typedef struct {
    double alpha;
    int64_t rows, columns;
    char spare[40]; /* the numbers begin on a cache line */
} header;

_Static_assert(sizeof(header) == 64, "packed numbers are aligned");

size_t hw_packed_bytes(char letter, int64_t rows, int64_t columns) {
    const int64_t count = rows > 0 && columns > 0 ? rows * columns : 0;
    const size_t bytes = sizeof(header) + (size_t)count * hw_element_bytes(letter);
    return (bytes + 63) / 64 * 64;
}

void *hw_packed_alloc(char letter, int64_t rows, int64_t columns) {
    return aligned_alloc(64, hw_packed_bytes(letter, rows, columns));
}

void hw_pack(char letter, int order, int transpose, int64_t rows, int64_t columns, double alpha,
             const void *source, int64_t leading, void *packed) {
    const header head = {.alpha = alpha, .rows = rows, .columns = columns};
    const size_t bytes = hw_element_bytes(letter);
    char *element = (char *)packed + sizeof head;
    const bool by_rows = (order == HW_ROW_MAJOR) == (transpose == NO_TRANSPOSE);
    const int64_t row = by_rows ? leading : 1, column = by_rows ? 1 : leading;
    memcpy(packed, &head, sizeof head);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++, element += bytes)
            memcpy(element, hw_at(source, letter, i * row + j * column), bytes);
}

hw_unpacked hw_unpack(int order, int64_t transpose, const void *data, int64_t leading) {
    if (transpose != HW_PACKED)
        return (hw_unpacked){data, leading, (int)transpose, 1};
    header head;
    memcpy(&head, data, sizeof head);
    /* By rows: where matrices lie by columns, that is the transpose. */
    return (hw_unpacked){(const char *)data + sizeof head, head.columns > 1 ? head.columns : 1,
                         order == HW_ROW_MAJOR ? NO_TRANSPOSE : TRANSPOSE, head.alpha};
}
