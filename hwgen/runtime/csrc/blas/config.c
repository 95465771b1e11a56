/* Reads $HWGEN_RUN/config, once, at the first call of a BLAS function. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profile.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const hw_config *active;

void hw_say(const char *format, ...) {
    char line[512] = "hwgen: ";
    const size_t start = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + start, sizeof line - start - 1, format, arguments);
    va_end(arguments);
    size_t length = strlen(line);
    line[length++] = '\n';
    /* One write, so that lines of several threads do not mix. */
    const ssize_t written = write(STDERR_FILENO, line, length);
    (void)written;
}

/* --- rules --------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    hw_comparison comparison;
} comparisons[] = {
    /* Longer ones first. */
    {">=", HW_GREATER_EQUAL}, {"<=", HW_LESS_EQUAL}, {"==", HW_EQUAL},
    {">", HW_GREATER},        {"<", HW_LESS},
};

static const struct {
    const char *text;
    hw_size size;
} sizes[] = {{"mnk", HW_MNK}, {"m", HW_M}, {"n", HW_N}, {"k", HW_K}};

static bool parse_integer(const char *text, int64_t low, int64_t *value) {
    char *end;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    *value = number;
    return end != text && *end == '\0' && errno == 0 && number >= low;
}

/* Reads one comparison, such as k>=64. */
static bool parse_term(const char *text, hw_term *term) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t length = strlen(sizes[i].text);
        if (strncmp(text, sizes[i].text, length) != 0)
            continue;
        for (size_t j = 0; j < sizeof comparisons / sizeof *comparisons; j++) {
            const size_t width = strlen(comparisons[j].text);
            if (strncmp(text + length, comparisons[j].text, width) != 0)
                continue;
            term->size = sizes[i].size;
            term->comparison = comparisons[j].comparison;
            return parse_integer(text + length + width, INT64_MIN, &term->value);
        }
    }
    return false;
}

static bool parse_rule(hw_config *config, char *text) {
    char *position = NULL;
    for (char *word = strtok_r(text, ",", &position); word != NULL;
         word = strtok_r(NULL, ",", &position)) {
        hw_term *terms = realloc(config->terms, (config->term_count + 1) * sizeof *terms);
        if (terms == NULL)
            return false;
        config->terms = terms;
        terms[config->term_count].last = false;
        if (!parse_term(word, &terms[config->term_count]))
            return false;
        config->term_count++;
    }
    if (config->term_count > 0)
        config->terms[config->term_count - 1].last = true;
    return true;
}

static bool holds(const hw_term *term, __int128 size) {
    switch (term->comparison) {
    case HW_GREATER: return size > term->value;
    case HW_GREATER_EQUAL: return size >= term->value;
    case HW_LESS: return size < term->value;
    case HW_LESS_EQUAL: return size <= term->value;
    default: return size == term->value;
    }
}

const char *hw_config_refusal(const hw_config *config, char precision, int64_t m, int64_t n,
                              int64_t k) {
    if (strchr(config->precisions, precision) == NULL)
        return "precision";
    const __int128 volume = (__int128)m * n * k;
    if (volume < config->min_mnk)
        return "min_mnk";
    if (config->term_count == 0)
        return NULL;
    const __int128 size[] = {[HW_M] = m, [HW_N] = n, [HW_K] = k, [HW_MNK] = volume};
    bool all = true;
    for (int i = 0; i < config->term_count; i++) {
        const hw_term *term = &config->terms[i];
        all = all && holds(term, size[term->size]);
        if (term->last) {
            if (all)
                return NULL;
            all = true;
        }
    }
    return "only";
}

/* --- the file ------------------------------------------------------------------------------ */

static bool parse_switch(const char *value, bool *result) {
    *result = value[0] == '1';
    return (value[0] == '0' || value[0] == '1') && value[1] == '\0';
}

static bool parse_backend(const char *value, bool *on_device, bool *native) {
    *on_device = strcmp(value, "device") == 0;
    *native = strcmp(value, "native") == 0;
    return *on_device || *native || strcmp(value, "c") == 0;
}

/* Takes one key=value; false where the value is not one the key has. */
static bool parse_entry(hw_config *config, const char *key, char *value, const char **datapath,
                        bool *on_device) {
    int64_t number;
    if (strcmp(key, "datapath") == 0)
        return *datapath = value, true;
    if (strcmp(key, "device") == 0)
        return config->device = value, true;
    if (strcmp(key, "backend") == 0)
        return parse_backend(value, on_device, &config->native);
    if (strcmp(key, "only") == 0)
        return parse_rule(config, value);
    if (strcmp(key, "check") == 0)
        return parse_switch(value, &config->check);
    if (strcmp(key, "profile") == 0)
        return parse_switch(value, &config->profile);
    if (strcmp(key, "record") == 0)
        return parse_switch(value, &config->record);
    if (strcmp(key, "assert") == 0)
        return parse_switch(value, &config->assert_same);
    if (strcmp(key, "log") == 0)
        return hw_log_open(config->log = value);
    if (strcmp(key, "min_mnk") == 0)
        return parse_integer(value, 0, &config->min_mnk);
    if (strcmp(key, "precisions") == 0) {
        const bool known = strspn(value, "sdczh") == strlen(value) && strlen(value) < 8;
        snprintf(config->precisions, sizeof config->precisions, "%s", known ? value : "");
        return known;
    }
    if (strcmp(key, "threads") == 0) {
        const bool valid = parse_integer(value, 0, &number) && number <= INT_MAX;
        config->threads = valid ? (int)number : 1;
        return valid;
    }
    return false;
}

bool hw_config_parse(hw_config *config, char *text, char *error, size_t size) {
    const char *datapath = NULL;
    bool on_device = false;
    *config = (hw_config){.precisions = "sdcz", .threads = 1};
    char *position = NULL;
    for (char *line = strtok_r(text, "\n", &position); line != NULL;
         line = strtok_r(NULL, "\n", &position)) {
        char *equals = strchr(line, '=');
        if (equals != NULL)
            *equals = '\0';
        if (equals == NULL || !parse_entry(config, line, equals + 1, &datapath, &on_device)) {
            snprintf(error, size, "cannot take %.60s%s%.120s", line, equals ? "=" : "",
                     equals ? equals + 1 : "");
            return false;
        }
    }
    if (config->native && datapath == NULL)
        return true;
    if (datapath == NULL || (on_device && config->device == NULL)) {
        snprintf(error, size, "%s is missing", datapath == NULL ? "datapath" : "device");
        return false;
    }
    if (!on_device)
        config->device = NULL;
    config->datapath = hwgen_datapath_read(datapath, error, size);
    return config->datapath != NULL;
}

/* Contents of a file as a string, or NULL. */
static char *read_text(const char *path) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return NULL;
    size_t length = 0, room = 1 << 14;
    char *text = malloc(room);
    while (text != NULL) {
        const ssize_t got = read(file, text + length, room - length - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            free(text);
            text = NULL;
            break;
        }
        if (got == 0)
            break;
        length += (size_t)got;
        if (room - length < 2) {
            char *more = realloc(text, room *= 2);
            if (more == NULL)
                free(text);
            text = more;
        }
    }
    if (text != NULL)
        text[length] = '\0';
    close(file);
    return text;
}

static void forked(void) {
    hw_counters_forked();
    hw_profile_forked();
    hw_device_forked();
}

static void initialise(void) {
    static hw_config config;
    char path[PATH_MAX], error[256];
    const char *folder = getenv("HWGEN_RUN");
    if (folder == NULL || *folder == '\0')
        return;
    snprintf(path, sizeof path, "%s/config", folder);
    char *text = read_text(path);
    if (text == NULL) {
        hw_say("cannot read %s: %s; BLAS calls run natively", path, strerror(errno));
        return;
    }
    if (!hw_config_parse(&config, text, error, sizeof error)) {
        hw_say("%s: %s; BLAS calls run natively", path, error);
        return;
    }
    /* The program may change its environment or working directory later. */
    config.folder = realpath(folder, NULL);
    if (config.folder == NULL)
        config.folder = strdup(folder);
    pthread_atfork(NULL, NULL, forked);
    active = &config;
}

const hw_config *hw_config_get(void) {
    pthread_once(&once, initialise);
    return active;
}
