/* Sums of doubles from left to right, as sea_surface_height.py adds them: written in C to be timed.
 *
 * Compile without -ffast-math and with -ffp-contract=off: compensation is lost by rearranging.
 */
#include <math.h>
#include <stddef.h>
#include <time.h>

typedef double summed(const double *values, size_t count);

double binary64(const double *values, size_t count);
double extended(const double *values, size_t count);
double quadruple(const double *values, size_t count);
double kahan(const double *values, size_t count);
double neumaier(const double *values, size_t count);
double double_double(const double *values, size_t count);
double seconds(summed *method, const double *values, size_t count, int repeats);

double binary64(const double *values, size_t count) {
    double total = 0;
    for (size_t i = 0; i < count; i++) {
        total += values[i];
    }
    return total;
}

/* x86's 80-bit format, where long double is that. */
double extended(const double *values, size_t count) {
    long double total = 0;
    for (size_t i = 0; i < count; i++) {
        total += (long double)values[i];
    }
    return (double)total;
}

/* binary128, which compilers add in software. */
double quadruple(const double *values, size_t count) {
    _Float128 total = 0;
    for (size_t i = 0; i < count; i++) {
        total += (_Float128)values[i];
    }
    return (double)total;
}

double kahan(const double *values, size_t count) {
    double total = 0, lost = 0;
    for (size_t i = 0; i < count; i++) {
        double term = values[i] - lost;
        double next = total + term;
        lost = (next - total) - term;
        total = next;
    }
    return total;
}

double neumaier(const double *values, size_t count) {
    double total = 0, lost = 0;
    for (size_t i = 0; i < count; i++) {
        double next = total + values[i];
        if (fabs(total) >= fabs(values[i])) {
            lost += (total - next) + values[i];
        } else {
            lost += (values[i] - next) + total;
        }
        total = next;
    }
    return total + lost;
}

/* The sum rounded, and in *error what rounding left out. */
static double two_sum(double x, double y, double *error) {
    double total = x + y;
    double other = total - x;
    *error = (x - (total - other)) + (y - other);
    return total;
}

double double_double(const double *values, size_t count) {
    double high = 0, low = 0;
    for (size_t i = 0; i < count; i++) {
        double error;
        double next = two_sum(high, values[i], &error);
        high = two_sum(next, low + error, &low);
    }
    return high + low;
}

/* Of one sum, the mean over so many. */
double seconds(summed *method, const double *values, size_t count, int repeats) {
    struct timespec begin, end;
    volatile double kept;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < repeats; i++) {
        kept = method(values, count);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    (void)kept;
    double taken = (double)(end.tv_sec - begin.tv_sec);
    taken += 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    return taken / repeats;
}
