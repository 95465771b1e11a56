/*
 * Reads a datapath's description: sections ended by ';', words separated by blanks, for example
 *
 *   hwgen 1; a float 8 7 ieee infinity; b float 8 7 ieee infinity;
 *   acc window 10 -29 8 zero nan 0 0; out float 8 23 ieee infinity
 *
 * all on one line. hwgen/runtime/description.py writes it and says what each word means. The
 * numbers are checked as far as memory safety needs it; their sense is the business of Python.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath.h"

enum { MAX_WORDS = 16, MAX_TEXT = 1024 };
/* Of the elements of blocks; the narrower one under a scale in e4m3. */
enum { MOST_ELEMENT_WIDTH = 8, MOST_SCALED_WIDTH = 4, MOST_ELEMENT_EXPONENT = 5 };

typedef struct {
    char *words[MAX_WORDS];
    int count;
    int next;
    const char *problem; /* NULL as long as all is well */
} reader;

static const char *word(reader *in) {
    if (in->next < in->count)
        return in->words[in->next++];
    in->problem = "a word is missing";
    return "";
}

static long integer(reader *in, long low, long high) {
    const char *text = word(in);
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < low || value > high) {
        if (in->problem == NULL)
            in->problem = "a number is malformed or out of range";
        return low;
    }
    return value;
}

static int choice(reader *in, const char *const *names) {
    const char *text = word(in);
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    if (in->problem == NULL)
        in->problem = "a word is unknown";
    return 0;
}

static const char *const FAMILIES[] = {"float", "fixed", "posit", "block", NULL};
static const char *const SPECIALS[] = {"ieee", "nan", "none", NULL};
static const char *const BEYOND[] = {"infinity", "saturate", "nan", NULL};
static const char *const SIGNS[] = {"unsigned", "signed", NULL};
static const char *const SCALES[] = {"e8m0", "e4m3", NULL};
static const char *const ROUNDINGS[] = {"zero", "even", "odd", "stochastic", NULL};
static const char *const OVERFLOWS[] = {"nan", "saturate", "wrap", NULL};
static const char *const REGISTERS[] = {"window", "fma", "muladd", NULL};

static void read_float(reader *in, format *self) {
    self->exponent_bits = (int)integer(in, 2, 11);
    self->fraction_bits = (int)integer(in, 1, 52);
    self->specials = (specials)choice(in, SPECIALS);
    self->beyond = (beyond)choice(in, BEYOND);
}

/* So that the sums of blocks fit 128 bits, and tables of an element's patterns their places. */
static void check_element(reader *in, scale_kind scale, const format *element) {
    int most = scale == SCALE_E4M3 ? MOST_SCALED_WIDTH : MOST_ELEMENT_WIDTH;
    bool is_small = element->width <= most && element->exponent_bits <= MOST_ELEMENT_EXPONENT;
    bool is_known = element->family == FORMAT_FLOAT ||
                    (element->family == FORMAT_FIXED && scale == SCALE_E8M0);
    if (in->problem == NULL && !(is_small && is_known))
        in->problem = "the element of a block-scaled format is out of range";
}

static void read_format(reader *in, format *self, format *element) {
    self->family = (family)choice(in, FAMILIES);
    switch (self->family) {
    case FORMAT_FLOAT:
        read_float(in, self);
        break;
    case FORMAT_FIXED:
        self->width = (int)integer(in, 0, 64);
        self->fraction_bits = (int)integer(in, 0, 64);
        self->width += self->fraction_bits;
        self->is_signed = choice(in, SIGNS) == 1;
        if (self->width < 1 || self->width > (self->is_signed ? 64 : 63))
            in->problem = "a fixed-point format is too wide";
        break;
    case FORMAT_POSIT:
        self->width = (int)integer(in, 3, 32);
        self->exponent_bits = (int)integer(in, 0, 4);
        break;
    case FORMAT_BLOCK:
        self->scale = (scale_kind)choice(in, SCALES);
        self->block = (int)integer(in, 1, 1 << 16);
        if (element == NULL) {
            in->problem = "a block-scaled format cannot stand here";
            return;
        }
        read_format(in, element, NULL);
        check_element(in, self->scale, element);
        self->element = element;
        break;
    }
    if (in->problem == NULL)
        format_complete(self);
}

static void read_window(reader *in, window *self) {
    self->msb = (int)integer(in, -(1 << 14), 1 << 14);
    self->lsb = (int)integer(in, -(1 << 14), 1 << 14);
    self->ovf = (int)integer(in, 0, MAX_WIDTH);
    self->rounding = (rounding)choice(in, ROUNDINGS);
    self->overflow = (overflow)choice(in, OVERFLOWS);
    self->seed = (uint32_t)integer(in, 0, UINT32_MAX);
    self->random_bits = (int)integer(in, 0, 24);
    self->width = self->ovf + self->msb - self->lsb + 1;
    if (in->next < in->count)
        self->block = (int)integer(in, 0, 1 << 16);
    self->dot = in->next < in->count ? (int)integer(in, 1, MAX_DOT) : 1;
    if (self->block > 0 && self->dot > 1)
        in->problem = "sums of scale blocks are added one at a time";
    if (self->msb < self->lsb || self->width < 2 || self->width > MAX_WIDTH)
        in->problem = "the window's width is out of range";
}

static void read_register(reader *in, hwgen_datapath *self) {
    int kind = choice(in, REGISTERS);
    self->is_float_sum = kind != 0;
    if (!self->is_float_sum) {
        read_window(in, &self->window);
        return;
    }
    format *sum = &self->sum.format;
    sum->family = FORMAT_FLOAT;
    sum->exponent_bits = (int)integer(in, 2, 11);
    sum->fraction_bits = (int)integer(in, 1, 52);
    self->sum.lanes = (int)integer(in, 1, 16);
    self->sum.fused = kind == 1;
    format_complete(sum);
}

static void split(char *section, reader *in) {
    memset(in, 0, sizeof *in);
    char *rest = NULL;
    for (char *w = strtok_r(section, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest)) {
        if (in->count == MAX_WORDS) {
            in->problem = "there are too many words";
            return;
        }
        in->words[in->count++] = w;
    }
}

/* Sections as bits, so that each may be asked for once. */
enum { VERSION = 1, SIDE_A = 2, SIDE_B = 4, ACC = 8, OUT = 16, LANES = 32 };

static int read_section(reader *in, hwgen_datapath *self) {
    static const char *const NAMES[] = {"hwgen", "a", "b", "acc", "out", "lanes", NULL};
    int section = choice(in, NAMES);
    switch (1 << section) {
    case VERSION:
        integer(in, 1, 1);
        break;
    case SIDE_A:
    case SIDE_B:
        read_format(in, &self->sides[section - 1], &self->elements[section - 1]);
        break;
    case ACC:
        read_register(in, self);
        break;
    case OUT:
        self->raw = in->next < in->count && strcmp(in->words[in->next], "raw") == 0;
        if (self->raw)
            in->next++;
        else
            read_format(in, &self->sides[HWGEN_OUT], NULL);
        break;
    case LANES:
        self->lanes[0] = integer(in, 0, INT32_MAX);
        self->lanes[1] = integer(in, 0, INT32_MAX);
        break;
    }
    if (in->problem == NULL && in->next != in->count)
        in->problem = "there are too many words";
    return 1 << section;
}

static const char *read_text(char *text, hwgen_datapath *self) {
    int seen = 0;
    char *rest = NULL;
    for (char *s = strtok_r(text, ";", &rest); s != NULL; s = strtok_r(NULL, ";", &rest)) {
        reader in;
        split(s, &in);
        int section = in.problem == NULL ? read_section(&in, self) : 0;
        if (in.problem != NULL)
            return in.problem;
        if (seen & section)
            return "a section stands twice";
        seen |= section;
    }
    if ((seen | LANES) != (VERSION | SIDE_A | SIDE_B | ACC | OUT | LANES))
        return "a section is missing";
    if (self->is_float_sum && (self->raw || self->sides[HWGEN_OUT].family != FORMAT_FLOAT))
        return "the result of a floating-point sum must be a float";
    if (self->window.block != 0 && (self->sides[HWGEN_A].family != FORMAT_BLOCK ||
                                    self->sides[HWGEN_B].family != FORMAT_BLOCK))
        return "sums of scale blocks need block-scaled operands";
    return NULL;
}

hwgen_datapath *hwgen_datapath_read(const char *description, char *error, size_t size) {
    char text[MAX_TEXT];
    const char *problem = NULL;
    hwgen_datapath *self = calloc(1, sizeof *self);
    size_t length = strlen(description);
    while (length > 0 && strchr(" \n\r", description[length - 1]) != NULL)
        length--;
    if (self == NULL) {
        problem = "there is no memory left";
    } else if (length >= sizeof text) {
        problem = "it is too long";
    } else {
        memcpy(text, description, length);
        text[length] = '\0';
        problem = read_text(text, self);
    }
    if (problem == NULL)
        return self;
    if (size > 0)
        snprintf(error, size, "cannot read the datapath description \"%.400s\": %s", description,
                 problem);
    free(self);
    return NULL;
}

static bool same_format(const format *x, const format *y) {
    return x->family == y->family && x->width == y->width &&
           x->exponent_bits == y->exponent_bits && x->fraction_bits == y->fraction_bits &&
           x->is_signed == y->is_signed && x->specials == y->specials && x->beyond == y->beyond &&
           x->scale == y->scale && x->block == y->block &&
           (x->element == NULL) == (y->element == NULL) &&
           (x->element == NULL || same_format(x->element, y->element));
}

int hwgen_commutes(const hwgen_datapath *datapath) {
    bool drawn = !datapath->is_float_sum && datapath->window.rounding == ROUND_STOCHASTIC;
    return !drawn && same_format(&datapath->sides[HWGEN_A], &datapath->sides[HWGEN_B]);
}

void hwgen_datapath_free(hwgen_datapath *datapath) {
    free(datapath);
}

size_t hwgen_pattern_bytes(const hwgen_datapath *datapath, hwgen_side side) {
    if (side == HWGEN_OUT && datapath->raw) {
        int width = datapath->window.width;
        return width <= 64 ? (size_t)format_bytes(width) : 8 * (size_t)((width + 63) / 64);
    }
    return (size_t)format_bytes(datapath->sides[side].width);
}

int64_t hwgen_block_terms(const hwgen_datapath *datapath, hwgen_side side) {
    const format *self = &datapath->sides[side];
    return side != HWGEN_OUT && self->family == FORMAT_BLOCK ? self->block : 1;
}
