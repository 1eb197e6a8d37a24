/* The names of the threads of the target `crowd`: a beginning that is not to be trusted, and behind
 * it the thread's number. */
#ifndef TESTS_TARGETS_CROWD_H
#define TESTS_TARGETS_CROWD_H

static const struct {
    const char *bytes; /* at most 10, for the kernel takes 15 in all; the last one is no digit */
    const char *shown; /* as UTF-8, with U+FFFD where the bytes are none */
} crowd_names[] = {
    {"", ""},
    {")", ")"},
    {") R 1 1 (", ") R 1 1 ("},
    {"(((((((((", "((((((((("},
    {"\n", "\n"},
    {"a\nName:\tb", "a\nName:\tb"},
    {"\x01\t\x7f\x1b[2J", "\x01\t\x7f\x1b[2J"},
    {"\"\\\\n'", "\"\\\\n'"},
    {"%s%n%9$s", "%s%n%9$s"},
    {"../../etc/", "../../etc/"},
    {"<b>&lt;", "<b>&lt;"},
    {"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xc3", "\xef\xbf\xbd"},                                 /* the beginning of a letter */
    {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* half of a UTF-16 pair */
    {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* a NUL, written too long */
    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
};

enum { CROWD_NAMES = sizeof crowd_names / sizeof crowd_names[0] };

#endif
