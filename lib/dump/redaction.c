/* SPDX-License-Identifier: MIT */
#include "dump/redaction.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of a long value every so many bytes are looked for by themselves, and the last so many. */
enum { CHUNK = 1024, FIRST_BUCKETS = 1024, KEY = PI_REDACTION_LEAST_VALUE };

/* Values that begin alike: so many are told apart. From then on whatever begins so is masked up to
 * the next NUL, so that hostile values can't make each byte a long search. */
enum { MOST_ALIKE = 8 };

typedef struct pattern {
    struct pattern *next; /* in its bucket */
    uint32_t hash;
    uint32_t length;
    bool is_name;
    bool is_prefix; /* of a value, up to the next NUL */
    char bytes[];
} pattern;

struct pi_redaction {
    uint64_t seed;
    pattern **buckets; /* a power of two of them */
    size_t bucket_count;
    size_t pattern_count;
    /* Whether a value begins with these two bytes: asked for every byte of the file. */
    unsigned char begins[65536 / 8];
    bool has_names;
};

static uint64_t mixed(uint64_t word) {
    word *= UINT64_C(0x9e3779b97f4a7c15);
    return (word ^ word >> 32) * UINT64_C(0xd6e8feb86659fd93);
}

/* Hostile names and values can't choose to fall into one bucket: they don't know the seed. */
static uint64_t new_seed(const void *somewhere) {
    struct timespec now = {0, 0};
    timespec_get(&now, TIME_UTC);
    return mixed((uint64_t)(uintptr_t)somewhere ^ (uint64_t)now.tv_nsec << 32);
}

static uint32_t hash_of(const pi_redaction *redaction, const void *bytes, size_t length) {
    const unsigned char *at = bytes;
    uint64_t hash = redaction->seed ^ length;
    for (size_t done = 0; done < length; done += sizeof hash) {
        uint64_t word = 0;
        memcpy(&word, at + done, length - done < sizeof word ? length - done : sizeof word);
        hash = mixed(hash ^ word);
    }
    return (uint32_t)(hash >> 32);
}

pi_redaction *pi_redaction_new(void) {
    pi_redaction *made = calloc(1, sizeof *made);
    pattern **buckets = calloc(FIRST_BUCKETS, sizeof(pattern *));
    if (made == NULL || buckets == NULL) {
        free(made);
        free(buckets);
        return NULL;
    }
    made->seed = new_seed(buckets);
    made->buckets = buckets;
    made->bucket_count = FIRST_BUCKETS;
    return made;
}

void pi_redaction_free(pi_redaction *redaction) {
    if (redaction == NULL)
        return;
    for (size_t i = 0; i < redaction->bucket_count; i++)
        for (pattern *each = redaction->buckets[i], *next; each != NULL; each = next) {
            next = each->next;
            free(each);
        }
    free(redaction->buckets);
    free(redaction);
}

static pattern **bucket_of(const pi_redaction *redaction, uint32_t hash) {
    return &redaction->buckets[hash & (redaction->bucket_count - 1)];
}

static bool grow(pi_redaction *redaction) {
    size_t count = redaction->bucket_count * 4;
    pattern **old = redaction->buckets, **buckets = calloc(count, sizeof(pattern *));
    if (buckets == NULL)
        return false;
    size_t old_count = redaction->bucket_count;
    redaction->buckets = buckets;
    redaction->bucket_count = count;
    for (size_t i = 0; i < old_count; i++)
        for (pattern *each = old[i], *next; each != NULL; each = next) {
            next = each->next;
            pattern **bucket = bucket_of(redaction, each->hash);
            each->next = *bucket;
            *bucket = each;
        }
    free(old);
    return true;
}

static bool insert(pi_redaction *redaction, const pattern *about, const char *bytes) {
    if (redaction->pattern_count >= redaction->bucket_count && !grow(redaction))
        return false;
    pattern *made = malloc(sizeof *made + about->length);
    if (made == NULL)
        return false;
    *made = *about;
    memcpy(made->bytes, bytes, about->length);
    pattern **bucket = bucket_of(redaction, about->hash);
    made->next = *bucket;
    *bucket = made;
    redaction->pattern_count++;
    return true;
}

static bool add_name(pi_redaction *redaction, const char *name, size_t length) {
    const pattern about = {
        .hash = hash_of(redaction, name, length), .length = (uint32_t)length, .is_name = true};
    redaction->has_names = true;
    for (const pattern *each = *bucket_of(redaction, about.hash); each != NULL; each = each->next)
        if (each->is_name && each->length == length && memcmp(each->bytes, name, length) == 0)
            return true;
    return insert(redaction, &about, name);
}

static void note_beginning(pi_redaction *redaction, const char *bytes) {
    unsigned pair = (unsigned char)bytes[0] | (unsigned)(unsigned char)bytes[1] << 8;
    redaction->begins[pair / 8] |= (unsigned char)(1u << pair % 8);
}

static bool add_chunk(pi_redaction *redaction, const char *bytes, size_t length) {
    const uint32_t hash = hash_of(redaction, bytes, KEY);
    pattern *alike = NULL;
    size_t count = 0;
    for (pattern *each = *bucket_of(redaction, hash); each != NULL; each = each->next) {
        if (each->is_name || memcmp(each->bytes, bytes, KEY) != 0)
            continue;
        if (each->is_prefix || (each->length == length && memcmp(each->bytes, bytes, length) == 0))
            return true;
        alike = each;
        count++;
    }
    if (count == MOST_ALIKE) {
        alike->is_prefix = true;
        return true;
    }
    note_beginning(redaction, bytes);
    return insert(redaction, &(pattern){.hash = hash, .length = (uint32_t)length}, bytes);
}

bool pi_redaction_add(pi_redaction *redaction, const char *name, size_t name_length,
                      const char *value, size_t value_length) {
    bool is_added =
        name_length > PI_REDACTION_LONGEST_NAME || add_name(redaction, name, name_length);
    if (value == NULL || value_length < PI_REDACTION_LEAST_VALUE)
        return is_added;
    for (size_t at = 0; is_added && at + CHUNK < value_length; at += CHUNK)
        is_added = add_chunk(redaction, value + at, CHUNK);
    size_t last = value_length < CHUNK ? value_length : CHUNK;
    return is_added && add_chunk(redaction, value + value_length - last, last);
}

/* --- Looking for them --- */

/* A file's bytes, and those of them that are to be masked: [begin, begin + length) of the window.
 */
typedef struct surroundings {
    const pi_redaction *redaction;
    const unsigned char *window;
    size_t window_length;
    size_t begin;
    unsigned char *part;
    size_t length;
} surroundings;

static void mask(const surroundings *search, size_t from, size_t to) {
    size_t end = search->begin + search->length;
    if (from < search->begin)
        from = search->begin;
    if (to > end)
        to = end;
    if (from < to)
        memset(search->part + (from - search->begin), PI_REDACTION_MASK, to - from);
}

/* Where the text ends that begins here. */
static size_t text_end(const surroundings *search, size_t at) {
    size_t left = search->window_length - at;
    size_t reach = left < PI_REDACTION_REACH ? left : PI_REDACTION_REACH;
    const unsigned char *nul = memchr(search->window + at, '\0', reach);
    return nul != NULL ? (size_t)(nul - search->window) : at + reach;
}

static bool is_redacted_name(const surroundings *search, size_t at, size_t length) {
    const uint32_t hash = hash_of(search->redaction, search->window + at, length);
    const pattern *each = *bucket_of(search->redaction, hash);
    while (each != NULL && !(each->is_name && each->length == length &&
                             memcmp(each->bytes, search->window + at, length) == 0))
        each = each->next;
    return each != NULL;
}

/* A text begins here. */
static void look_for_name(const surroundings *search, size_t at) {
    size_t left = search->window_length - at, longest = PI_REDACTION_LONGEST_NAME + 1;
    const unsigned char *name = search->window + at;
    const unsigned char *equals = memchr(name, '=', left < longest ? left : longest);
    if (equals == NULL || !is_redacted_name(search, at, (size_t)(equals - name)))
        return;
    size_t value_at = (size_t)(equals - search->window) + 1;
    mask(search, value_at, text_end(search, value_at));
}

static void look_for_value(const surroundings *search, size_t at) {
    const unsigned char *bytes = search->window + at;
    size_t left = search->window_length - at;
    if (left < KEY)
        return;
    for (const pattern *each =
             *bucket_of(search->redaction, hash_of(search->redaction, bytes, KEY));
         each != NULL; each = each->next) {
        if (each->is_name)
            continue;
        if (each->is_prefix && memcmp(each->bytes, bytes, KEY) == 0)
            mask(search, at, text_end(search, at));
        else if (each->length <= left && memcmp(each->bytes, bytes, each->length) == 0)
            mask(search, at, at + each->length);
    }
}

static bool begins_value(const pi_redaction *redaction, const unsigned char *bytes) {
    unsigned pair = bytes[0] | (unsigned)bytes[1] << 8;
    return (redaction->begins[pair / 8] >> pair % 8 & 1) != 0;
}

void pi_redaction_apply(const pi_redaction *redaction, const unsigned char *window,
                        size_t window_length, size_t begin, unsigned char *part,
                        size_t part_length) {
    const surroundings search = {.redaction = redaction,
                                 .window = window,
                                 .window_length = window_length,
                                 .begin = begin,
                                 .part = part,
                                 .length = part_length};
    for (size_t at = 0; at + 1 < window_length && at < begin + part_length; at++) {
        if (begins_value(redaction, window + at))
            look_for_value(&search, at);
        if (window[at] == '\0' && window[at + 1] != '\0' && redaction->has_names)
            look_for_name(&search, at + 1);
    }
}
