/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dump/minidump/minidump.h"

static laid_out with_cpu(pi_cpu_identity cpu, uint32_t processors, pi_architecture architecture) {
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    static char version[] = "Linux 6.1.0-21-amd64 #1 SMP x86_64";
    snapshot.system_version = version;
    snapshot.cpu = cpu;
    snapshot.processor_count = processors;
    snapshot.architecture = architecture;
    return lay_out(&snapshot);
}

static uint32_t system_info_of(const laid_out *file) {
    uint32_t size;
    uint32_t at = stream_at(file, PI_STREAM_SYSTEM_INFO, &size);
    assert_int_equal(size, 56);
    assert_int_equal(at % 4, 0);
    return at;
}

static void an_intel_processor(void **state) {
    (void)state;
    pi_cpu_identity cpu = {.vendor = {0x756e6547, 0x49656e69, 0x6c65746e},
                           .version = 0x000906ea, /* family 6, model 0x9e, stepping 10 */
                           .features = 0xbfebfbff,
                           .amd_extended_features = 0x2c100800};
    laid_out file = with_cpu(cpu, 12, PI_ARCHITECTURE_AMD64);
    uint32_t at = system_info_of(&file);
    assert_int_equal(u16_at(&file, at), 9);
    assert_int_equal(u16_at(&file, at + 2), 6);
    assert_int_equal(u16_at(&file, at + 4), 0x9e0a);
    assert_int_equal(file.bytes[at + 6], 12);
    assert_int_equal(file.bytes[at + 7], 0);
    assert_int_equal(u32_at(&file, at + 20), 0x8201);
    assert_string(&file, u32_at(&file, at + 24), "Linux 6.1.0-21-amd64 #1 SMP x86_64");
    assert_int_equal(u32_at(&file, at + 28), 0);
    assert_memory_equal(file.bytes + at + 32, "GenuineIntel", 12);
    assert_int_equal(u32_at(&file, at + 44), 0x000906ea);
    assert_int_equal(u32_at(&file, at + 48), 0xbfebfbff);
    assert_int_equal(u32_at(&file, at + 52), 0x2c100800);
    laid_out_free(&file);
}

static void an_extended_family(void **state) {
    (void)state;
    pi_cpu_identity cpu = {.version = 0x00a20f12}; /* family 0x19, model 0x21, stepping 2 */
    laid_out file = with_cpu(cpu, 1, PI_ARCHITECTURE_AMD64);
    uint32_t at = system_info_of(&file);
    assert_int_equal(u16_at(&file, at + 2), 0x19);
    assert_int_equal(u16_at(&file, at + 4), 0x2102);
    laid_out_free(&file);
}

static void more_processors_than_the_field_holds(void **state) {
    (void)state;
    laid_out file = with_cpu((pi_cpu_identity){0}, 256, PI_ARCHITECTURE_AMD64);
    assert_int_equal(file.bytes[system_info_of(&file) + 6], 255);
    laid_out_free(&file);
}

static void arm64(void **state) {
    (void)state;
    laid_out file = with_cpu((pi_cpu_identity){0}, 4, PI_ARCHITECTURE_ARM64);
    assert_int_equal(u16_at(&file, system_info_of(&file)), 12);
    laid_out_free(&file);
}

static void a_system_without_a_name(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    laid_out file = lay_out(&snapshot);
    assert_string(&file, u32_at(&file, system_info_of(&file) + 24), "");
    laid_out_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_intel_processor),
        cmocka_unit_test(an_extended_family),
        cmocka_unit_test(more_processors_than_the_field_holds),
        cmocka_unit_test(arm64),
        cmocka_unit_test(a_system_without_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
