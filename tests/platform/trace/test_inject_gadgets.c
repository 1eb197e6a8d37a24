/* Places in code at which a thread can be made to call: in this process, and in made-up code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/linux/trace/inject_gadgets.h"

enum { PAGE = 4096, CHUNK = 64, MAPS_BYTES = 65536 };

static const unsigned char call[] = {0x0f, 0x05, 0xc3};
static const unsigned char restorer[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
static const unsigned char short_restorer[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};

static bool find(const char *maps, pi_inject_gadgets *gadgets) {
    static unsigned char code[CHUNK];
    const pi_inject_search search = {.pid = getpid(),
                                     .maps = maps,
                                     .maps_length = strlen(maps),
                                     .code = code,
                                     .code_capacity = sizeof code};
    return pi_inject_find_gadgets(&search, gadgets);
}

/* A line of maps for two pages that this process may read. */
static unsigned char *make_code(char *maps, size_t capacity, const char *permissions) {
    unsigned char *code =
        mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(code != MAP_FAILED);
    snprintf(maps, capacity, "%lx-%lx %s 00000000 fe:01 1234 /lib/x.so\n", (unsigned long)code,
             (unsigned long)code + 2 * PAGE, permissions);
    return code;
}

static void in_this_process(void **state) {
    (void)state;
    static char maps[MAPS_BYTES];
    FILE *file = fopen("/proc/self/maps", "re");
    assert_non_null(file);
    maps[fread(maps, 1, sizeof maps - 1, file)] = '\0';
    fclose(file);
    pi_inject_gadgets gadgets;
    assert_true(find(maps, &gadgets));
    assert_memory_equal((const void *)(uintptr_t)gadgets.call, call, sizeof call);
    assert_true(pi_inject_has_gadgets(getpid(), &gadgets));
    assert_true(gadgets.plain_bytes >= 576);
    assert_int_equal(gadgets.plain_features & 3, 3);
}

static void across_the_ends_of_what_is_read(void **state) {
    (void)state;
    for (unsigned offset = 0; offset < 3 * CHUNK; offset++) {
        char maps[256];
        unsigned char *code = make_code(maps, sizeof maps, "r-xp");
        memcpy(code + PAGE - CHUNK + offset, restorer, sizeof restorer);
        memcpy(code + PAGE + 4 * CHUNK + offset, call, sizeof call);
        pi_inject_gadgets gadgets;
        assert_true(find(maps, &gadgets));
        assert_int_equal(gadgets.restorer, (uintptr_t)code + PAGE - CHUNK + offset);
        assert_int_equal(gadgets.call, (uintptr_t)code + PAGE + 4 * CHUNK + offset);
        munmap(code, 2 * PAGE);
    }
}

static void both_forms_of_the_restorer(void **state) {
    (void)state;
    char maps[256];
    unsigned char *code = make_code(maps, sizeof maps, "r-xp");
    memcpy(code + 100, short_restorer, sizeof short_restorer);
    memcpy(code + 200, call, sizeof call);
    pi_inject_gadgets gadgets;
    assert_true(find(maps, &gadgets));
    assert_int_equal(gadgets.restorer, (uintptr_t)code + 100);
    assert_true(pi_inject_has_gadgets(getpid(), &gadgets));
    code[200] = 0;
    assert_false(pi_inject_has_gadgets(getpid(), &gadgets));
    munmap(code, 2 * PAGE);
    assert_false(pi_inject_has_gadgets(getpid(), &gadgets));
}

static const unsigned char number[] = {0x58, 0xc3};

/* What loads the number of the call suffices where there is no code that makes it. */
static void without_a_restorer(void **state) {
    (void)state;
    char maps[256];
    unsigned char *code = make_code(maps, sizeof maps, "r-xp");
    pi_inject_gadgets gadgets;
    memcpy(code + 200, call, sizeof call);
    assert_false(find(maps, &gadgets));
    assert_false(pi_inject_has_gadgets(getpid(), &gadgets));
    memcpy(code + 100, number, sizeof number);
    assert_true(find(maps, &gadgets));
    assert_int_equal(gadgets.restorer, 0);
    assert_int_equal(gadgets.number, (uintptr_t)code + 100);
    assert_true(pi_inject_has_gadgets(getpid(), &gadgets));
    memcpy(code + PAGE, restorer, sizeof restorer);
    assert_true(find(maps, &gadgets));
    assert_int_equal(gadgets.restorer, (uintptr_t)code + PAGE);
    code[PAGE] = 0;
    assert_false(pi_inject_has_gadgets(getpid(), &gadgets));
    gadgets.restorer = 0;
    code[101] = 0;
    assert_false(pi_inject_has_gadgets(getpid(), &gadgets));
    munmap(code, 2 * PAGE);
}

static void data_is_no_code(void **state) {
    (void)state;
    char maps[256];
    unsigned char *code = make_code(maps, sizeof maps, "rw-p");
    memcpy(code + 100, restorer, sizeof restorer);
    memcpy(code + 200, call, sizeof call);
    pi_inject_gadgets gadgets;
    assert_false(find(maps, &gadgets));
    assert_int_equal(gadgets.call, 0);
    munmap(code, 2 * PAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_this_process),
        cmocka_unit_test(across_the_ends_of_what_is_read),
        cmocka_unit_test(both_forms_of_the_restorer),
        cmocka_unit_test(without_a_restorer),
        cmocka_unit_test(data_is_no_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
