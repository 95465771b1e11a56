/* Conversions, and what is measured of packed operands; loops that compilers turn to vectors. */

INLINE uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

INLINE double double_of(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void split(int64_t terms, int lines, const double *values, double *splits) {
    for (int64_t k = 0; k < terms; k++) {
        for (int l = 0; l < lines; l++) {
            uint64_t bits = bits_of(values[k * lines + l]);
            uint64_t sign = bits & (uint64_t)SIGNS;
            splits[k * 2 * lines + l] = double_of(bits ^ sign);
            splits[(k * 2 + 1) * lines + l] = double_of(sign | bits_of(1.0));
        }
    }
}

/* Weight of the lowest bit of each number; what reaches below float64's normals counts as -1074. */
INLINE longs lowest_bits(doubles x) {
    longs bits = (longs)absolute(x), fraction = bits & longs_of(((int64_t)1 << 52) - 1);
    doubles rest = absolute(x) - (doubles)(bits & (bits - 1));
    longs power = (longs)choose((longs)(fraction == 0), absolute(x), rest) >> 52;
    longs low = power - 1023;
    low = (longs)choose((longs)(power == 0), (doubles)longs_of(-1074), (doubles)low);
    return (longs)choose((longs)(bits == 0), (doubles)longs_of(NO_LOW), (doubles)low);
}

static void measure(int64_t terms, int lines, const double *values, line_facts facts,
                    int16_t *term_lows, int16_t *lows) {
    for (int first = 0; first < lines; first += DOUBLES) {
        doubles largest = doubles_of(0), squares = doubles_of(0);
        longs line_low = longs_of(NO_LOW);
        for (int64_t k = 0; k < terms; k++) {
            doubles x = load(values + k * lines + first);
            longs low = lowest_bits(x);
            doubles size = absolute(x);
            /* NaN counts as infinite: it compares as unordered. */
            size = choose((longs)(size == size), size, doubles_of(__builtin_inf()));
            largest = choose((longs)(size > largest), size, largest);
            squares += size * size;
            line_low = (longs)choose((longs)(low < line_low), (doubles)low, (doubles)line_low);
            int16_t lowest_here = first == 0 ? NO_LOW : term_lows[k];
            for (int l = 0; l < DOUBLES; l++) {
                int16_t weight = (int16_t)low[l];
                if (lows != NULL)
                    lows[k * lines + first + l] = weight;
                if (weight < lowest_here)
                    lowest_here = weight;
            }
            term_lows[k] = lowest_here;
        }
        store(facts.largest + first, largest);
        store(facts.squares + first, squares);
        for (int l = 0; l < DOUBLES; l++)
            facts.low[first + l] = (int16_t)line_low[l];
    }
}

/* A line of b's weights. */
typedef int16_t weights __attribute__((vector_size(2 * COLUMNS)));

static void lowest(int64_t terms, const int16_t *a, const int16_t *b, int16_t *result,
                   int64_t row) {
    weights least[ROWS];
    UNROLL for (int r = 0; r < ROWS; r++) memcpy(&least[r], result + r * row, sizeof least[r]);
    for (int64_t k = 0; k < terms; k++) {
        weights line;
        memcpy(&line, b + k * COLUMNS, sizeof line);
        UNROLL for (int r = 0; r < ROWS; r++) {
            weights sum = line + a[k * ROWS + r];
            weights less = sum < least[r];
            least[r] = (less & sum) | (~less & least[r]);
        }
    }
    UNROLL for (int r = 0; r < ROWS; r++) memcpy(result + r * row, &least[r], sizeof least[r]);
}

static void round_values(const float_rounding *how, int64_t count, const double *in, double *out) {
    const float_rounding h = *how;
    const uint64_t half = h.drop > 0 ? ((uint64_t)1 << (h.drop - 1)) - 1 : 0;
    const uint64_t odd = h.drop > 0, keep = ~(uint64_t)0 << h.drop;
    const uint64_t sign_mask = (uint64_t)SIGNS;
    for (int64_t i = 0; i < count; i++) {
        uint64_t bits = bits_of(in[i]), sign = bits & sign_mask;
        bits ^= sign;
        double size = double_of(bits);
        /* Half a unit less one, and one more where the kept part is odd, carry upwards. */
        double normal = double_of((bits + half + (bits >> h.drop & odd)) & keep);
        double small = size + h.subnormal_shift - h.subnormal_shift;
        double result = size < h.least_normal ? small : normal;
        result = result > h.largest ? h.beyond : result;
        result = size == __builtin_inf() ? h.infinite : result;
        result = size == size ? result : size;
        out[i] = double_of(bits_of(result) | sign);
    }
}

static void round_fixed_values(const fixed_rounding *how, int64_t count, const double *in,
                               double *out) {
    const fixed_rounding h = *how;
    for (int64_t i = 0; i < count; i++) {
        double units = __builtin_rint(in[i] * h.up);
        units = units < h.least ? h.least : units;
        units = units > h.largest ? h.largest : units;
        out[i] = units * h.down;
    }
}

static void widen(int64_t count, const float *in, double *out) {
    for (int64_t i = 0; i < count; i++)
        out[i] = (double)in[i];
}

INLINE double decode_one(const float_pattern *h, uint64_t bits) {
    uint64_t sign = bits >> (h->width - 1), size = bits & (((uint64_t)1 << (h->width - 1)) - 1);
    double value = double_of(size << h->up) * h->factor;
    if (size > h->largest)
        value = size == h->infinity ? __builtin_inf() : __builtin_nan("");
    return double_of(bits_of(value) | sign << 63);
}

static void decode(const float_pattern *how, int bytes, int64_t count, const void *in,
                   double *out) {
    const float_pattern h = *how;
    switch (bytes) {
    case 1:
        for (int64_t i = 0; i < count; i++)
            out[i] = decode_one(&h, ((const uint8_t *)in)[i]);
        break;
    case 2:
        for (int64_t i = 0; i < count; i++)
            out[i] = decode_one(&h, ((const uint16_t *)in)[i]);
        break;
    case 4:
        for (int64_t i = 0; i < count; i++)
            out[i] = decode_one(&h, ((const uint32_t *)in)[i]);
        break;
    default:
        for (int64_t i = 0; i < count; i++)
            out[i] = decode_one(&h, ((const uint64_t *)in)[i]);
        break;
    }
}

/*
 * Adds slices from the lowest up, each sum rounded to odd: the last bit is set where anything was
 * lost, so that a later rounding to fewer bits sees it. After a carry to nearest what lies below a
 * slice is half its unit at most, but for what lies two slices below: a sum with it cancels one
 * leading bit at most, which leaves a total that is rounded to odd in 52 bits if not in 53.
 */
static void join(int64_t count, int slices, const double *sums, int64_t slice, double *out) {
    for (int64_t j = 0; j < count; j += DOUBLES) {
        doubles total = load(sums + j);
        for (int i = 1; i < slices; i++) {
            doubles upper = load(sums + i * slice + j);
            doubles sum = upper + total;
            doubles part = sum - upper;
            doubles error = (upper - (sum - part)) + (total - part);
            longs inexact = (longs)(error != doubles_of(0));
            longs even = ((longs)sum & 1) - 1; /* all ones where the last bit is 0 */
            /* Away from zero where sum and error agree in sign, else towards it. */
            longs step = ((longs)sum ^ (longs)error) >> 63 | 1;
            total = (doubles)((longs)sum + (step & inexact & even));
        }
        store(out + j, total);
    }
}
