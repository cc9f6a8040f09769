// Reads JSON in a plugin: its configuration, and what providers send. C11 and C++17; values are
// views into the text, nothing is allocated. Only osp_json_parse looks whether the text is JSON;
// the other functions take what it gave.
#ifndef OPENSEND_JSON_H
#define OPENSEND_JSON_H

#include <string.h>

#include <opensend/plugin.h>

#define OSP_JSON_DEPTH 32
#if defined(__cplusplus)
#define OSP_JSON_AS_(type, value) static_cast<type>(value)
#else
#define OSP_JSON_AS_(type, value) ((type)(value))
#endif

// The rest of an object or array that is being walked.
typedef struct osp_json_walk {
    const char *at, *end;
    int is_object;
} osp_json_walk;

static inline const char* osp_json_blanks_(const char* at, const char* end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) ++at;
    return at;
}

static inline int osp_json_hex_(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// The number of a \u escape, whose four digits begin at `at`; -1: there are no four.
static inline long osp_json_unit_(const char* at, const char* end) {
    long unit = 0;
    if (end - at < 4) return -1;
    for (int i = 0; i < 4; ++i) {
        const int digit = osp_json_hex_(at[i]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

// Behind the string that begins at `at`, or null.
static inline const char* osp_json_string_(const char* at, const char* end) {
    for (++at; at < end; ++at) {
        if (*at == '"') return at + 1;
        if (*at >= 0 && *at < ' ') return NULL;
        if (*at != '\\') continue;
        if (++at == end) return NULL;
        if (*at == 'u') {
            if (osp_json_unit_(at + 1, end) < 0) return NULL;
            at += 4;
        } else if (*at == '\0' || strchr("\"\\/bfnrt", *at) == NULL) {
            return NULL;
        }
    }
    return NULL;
}

static inline const char* osp_json_digits_(const char* at, const char* end) {
    const char* begin = at;
    while (at < end && *at >= '0' && *at <= '9') ++at;
    return at == begin ? NULL : at;
}

static inline const char* osp_json_number_(const char* at, const char* end) {
    if (at < end && *at == '-') ++at;
    if (at < end && *at == '0') {
        ++at;
    } else {
        at = osp_json_digits_(at, end);
    }
    if (at != NULL && at < end && *at == '.') at = osp_json_digits_(at + 1, end);
    if (at != NULL && at < end && (*at == 'e' || *at == 'E')) {
        ++at;
        if (at < end && (*at == '+' || *at == '-')) ++at;
        at = osp_json_digits_(at, end);
    }
    return at;
}

static inline const char* osp_json_word_(const char* at, const char* end, const char* word) {
    for (; *word != '\0'; ++word, ++at) {
        if (at == end || *at != *word) return NULL;
    }
    return at;
}

// Behind the value that begins at `at`, or null.
static inline const char* osp_json_value_(const char* at, const char* end, int depth) {
    if (at >= end || depth > OSP_JSON_DEPTH) return NULL;
    if (*at == '"') return osp_json_string_(at, end);
    if (*at == 't') return osp_json_word_(at, end, "true");
    if (*at == 'f') return osp_json_word_(at, end, "false");
    if (*at == 'n') return osp_json_word_(at, end, "null");
    if (*at != '{' && *at != '[') return osp_json_number_(at, end);
    const int is_object = *at == '{';
    const char close = is_object ? '}' : ']';
    at = osp_json_blanks_(at + 1, end);
    if (at < end && *at == close) return at + 1;
    for (;;) {
        if (is_object) {
            if (at >= end || *at != '"') return NULL;
            at = osp_json_string_(at, end);
            if (at == NULL) return NULL;
            at = osp_json_blanks_(at, end);
            if (at >= end || *at != ':') return NULL;
            at = osp_json_blanks_(at + 1, end);
        }
        at = osp_json_value_(at, end, depth + 1);
        if (at == NULL) return NULL;
        at = osp_json_blanks_(at, end);
        if (at < end && *at == close) return at + 1;
        if (at >= end || *at != ',') return NULL;
        at = osp_json_blanks_(at + 1, end);
    }
}

static inline osp_str osp_json_view_(const char* begin, const char* end) {
    const osp_str view = {begin, OSP_JSON_AS_(size_t, end - begin)};
    return view;
}

// The one value of the text without blanks around it; an empty view when the text is not JSON, or
// deeper than OSP_JSON_DEPTH.
static inline osp_str osp_json_parse(osp_str text) {
    const osp_str none = {NULL, 0};
    if (text.ptr == NULL) return none;
    const char* end = text.ptr + text.len;
    const char* begin = osp_json_blanks_(text.ptr, end);
    const char* behind = osp_json_value_(begin, end, 0);
    if (behind == NULL || osp_json_blanks_(behind, end) != end) return none;
    return osp_json_view_(begin, behind);
}

// The first character of a value tells its type; 0 when there is no value.
static inline char osp_json_first(osp_str value) { return value.len == 0 ? '\0' : value.ptr[0]; }

// Begins to walk an object or an array; another value has nothing in it.
static inline osp_json_walk osp_json_begin(osp_str value) {
    osp_json_walk walk = {NULL, NULL, 0};
    const char first = osp_json_first(value);
    if (first != '{' && first != '[') return walk;
    walk.is_object = first == '{';
    walk.at = value.ptr + 1;
    walk.end = value.ptr + value.len - 1;
    return walk;
}

// The next value, and its key with quotes in an object. 0: there is none.
static inline int osp_json_next(osp_json_walk* walk, osp_str* key, osp_str* value) {
    const char* at = walk->at;
    if (at == NULL) return 0;
    while (at < walk->end && (*at == ',' || osp_json_blanks_(at, walk->end) != at)) ++at;
    walk->at = NULL;
    if (at >= walk->end) return 0;
    if (walk->is_object) {
        const char* behind = osp_json_string_(at, walk->end);
        if (behind == NULL) return 0;
        *key = osp_json_view_(at, behind);
        at = osp_json_blanks_(behind, walk->end);
        if (at >= walk->end) return 0;
        at = osp_json_blanks_(at + 1, walk->end);
    }
    const char* behind = osp_json_value_(at, walk->end, 0);
    if (behind == NULL) return 0;
    *value = osp_json_view_(at, behind);
    walk->at = behind;
    return 1;
}

// Writes a code point as UTF-8 into four bytes at most; returns how many.
static inline size_t osp_json_utf8_(unsigned long point, unsigned char out[4]) {
    if (point < 0x80) {
        out[0] = OSP_JSON_AS_(unsigned char, point);
        return 1;
    }
    const size_t more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const unsigned char kLead[4] = {0, 0xc0, 0xe0, 0xf0};
    for (size_t i = more; i > 0; --i, point >>= 6)
        out[i] = OSP_JSON_AS_(unsigned char, (0x80u | (point & 0x3fu)));
    out[0] = OSP_JSON_AS_(unsigned char, (kLead[more] | point));
    return more + 1;
}

// The characters of a string, without a NUL behind them. Returns their number, or -1 when the value
// is no string, is longer than `room`, or holds half of a pair.
static inline int64_t osp_json_text(osp_str value, char* out, size_t room) {
    if (osp_json_first(value) != '"' || value.len < 2) return -1;
    const char *at = value.ptr + 1, *end = value.ptr + value.len - 1;
    size_t used = 0;
    while (at < end) {
        unsigned char bytes[4] = {OSP_JSON_AS_(unsigned char, *at), 0, 0, 0};
        size_t n = 1;
        if (*at++ == '\\') {
            const char kind = *at++;
            static const char kFrom[] = "bfnrt", kTo[] = "\b\f\n\r\t";
            const char* place = strchr(kFrom, kind);
            bytes[0] = OSP_JSON_AS_(unsigned char, (place != NULL ? kTo[place - kFrom] : kind));
            if (kind == 'u') {
                unsigned long point = OSP_JSON_AS_(unsigned long, osp_json_unit_(at, end));
                at += 4;
                if (point >= 0xd800 && point < 0xdc00 && end - at >= 6 && at[0] == '\\' &&
                    at[1] == 'u') {
                    const long low = osp_json_unit_(at + 2, end);
                    if (low < 0xdc00 || low > 0xdfff) return -1;
                    point = 0x10000 + ((point - 0xd800) << 10) +
                            OSP_JSON_AS_(unsigned long, (low - 0xdc00));
                    at += 6;
                }
                if (point >= 0xd800 && point < 0xe000) return -1;
                n = osp_json_utf8_(point, bytes);
            }
        }
        if (room - used < n) return -1;
        memcpy(out + used, bytes, n);
        used += n;
    }
    return OSP_JSON_AS_(int64_t, used);
}

// 1 when the value is a string with exactly these characters.
static inline int osp_json_is(osp_str value, const char* text) {
    char buffer[128];
    const int64_t length = osp_json_text(value, buffer, sizeof buffer);
    return length >= 0 && strlen(text) == OSP_JSON_AS_(size_t, length) &&
           memcmp(buffer, text, OSP_JSON_AS_(size_t, length)) == 0;
}

// The member of an object, or an empty view.
static inline osp_str osp_json_find(osp_str object, const char* name) {
    osp_json_walk walk = osp_json_begin(object);
    osp_str key = {NULL, 0}, value = {NULL, 0};
    while (osp_json_next(&walk, &key, &value)) {
        if (walk.is_object && osp_json_is(key, name)) return value;
    }
    const osp_str none = {NULL, 0};
    return none;
}

// 1: `out` has the whole number that the value is.
static inline int osp_json_int(osp_str value, int64_t* out) {
    int64_t number = 0;
    const int negative = osp_json_first(value) == '-';
    size_t i = negative ? 1 : 0;
    if (i == value.len) return 0;
    for (; i < value.len; ++i) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9') return 0;
        const int digit = negative ? '0' - value.ptr[i] : value.ptr[i] - '0';
        if (__builtin_mul_overflow(number, 10, &number)) return 0;
        if (__builtin_add_overflow(number, digit, &number)) return 0;
    }
    *out = number;
    return 1;
}

// The reference in {"$secret":"<ref>"}, as osp_json_text gives it.
static inline int64_t osp_json_secret(osp_str value, char* out, size_t room) {
    return osp_json_text(osp_json_find(value, "$secret"), out, room);
}

// The first key of an object, with its quotes, that is not among the n known ones; or an empty
// view.
static inline osp_str osp_json_stranger(osp_str object, const char* const* known, size_t n) {
    osp_json_walk walk = osp_json_begin(object);
    osp_str key = {NULL, 0}, value = {NULL, 0};
    while (osp_json_next(&walk, &key, &value)) {
        size_t i = 0;
        while (i < n && !osp_json_is(key, known[i])) ++i;
        if (i == n) return key;
    }
    const osp_str none = {NULL, 0};
    return none;
}

#endif
