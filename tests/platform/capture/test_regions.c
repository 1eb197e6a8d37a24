/* What a process has mapped, in captures: against its own maps, and what it knows of them. */
#include "platform/capture/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, R = PI_ACCESS_READ, W = PI_ACCESS_WRITE, X = PI_ACCESS_EXECUTE };

static void *map(size_t pages, int protection, int flags, int file) {
    void *memory = mmap(NULL, pages * PAGE, protection, flags, file, 0);
    if (memory == MAP_FAILED)
        _exit(97);
    return memory;
}

/* What the board's words lead to. */
enum { ANONYMOUS, NO_ACCESS, SHARED, FILE_PRIVATE, FILE_SHARED, PROGRAM_AS_DATA, SPLIT, CODE };

static void mapper_body(child_board *board) {
    int file = memfd_create("data", 0);
    int program = open("/proc/self/exe", O_RDONLY);
    if (file < 0 || program < 0 || ftruncate(file, 4 * PAGE) != 0)
        _exit(98);
    void *mappings[8];
    mappings[ANONYMOUS] = map(3, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    mappings[NO_ACCESS] = map(5, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    memset(mappings[NO_ACCESS], 1, 5 * PAGE);
    mprotect(mappings[NO_ACCESS], 5 * PAGE, PROT_NONE);
    mappings[SHARED] = map(2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    mappings[FILE_PRIVATE] = map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
    mappings[FILE_SHARED] = map(4, PROT_READ, MAP_SHARED, file);
    mappings[PROGRAM_AS_DATA] = map(1, PROT_READ, MAP_PRIVATE, program);
    mappings[SPLIT] = map(9, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    mprotect((char *)mappings[SPLIT] + 3 * PAGE, 3 * PAGE, PROT_READ);
    mappings[CODE] = map(1, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    for (int i = 0; i < 8; i++)
        atomic_store(&board->words[i], (uint64_t)(uintptr_t)mappings[i]);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static const pi_region_snapshot *find_region(const pi_snapshot *snapshot, uint64_t address) {
    for (size_t i = 0; i < snapshot->region_count; i++)
        if (address - snapshot->regions[i].range.address < snapshot->regions[i].range.size_bytes)
            return &snapshot->regions[i];
    fail_msg("nothing is mapped at %#llx", (unsigned long long)address);
    return NULL;
}

static uint32_t access_of(const char *letters) {
    return (letters[0] == 'r' ? R : 0u) | (letters[1] == 'w' ? W : 0u) |
           (letters[2] == 'x' ? X : 0u);
}

/* The same ranges in the same order with the same rights. */
static void assert_as_in_its_maps(const pi_snapshot *snapshot) {
    char path[64], *line = NULL, letters[5];
    size_t capacity = 0, count = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)snapshot->pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (; getline(&line, &capacity, file) > 0; count++) {
        unsigned long long start, end, inode;
        assert_int_equal(
            sscanf(line, "%llx-%llx %4s %*x %*x:%*x %llu", &start, &end, letters, &inode), 4);
        assert_true(count < snapshot->region_count);
        const pi_region_snapshot *region = &snapshot->regions[count];
        assert_true(region->range.address == start && region->range.size_bytes == end - start);
        assert_int_equal(region->access, access_of(letters));
        if (inode == 0 && letters[3] == 'p' && strstr(line, "[vdso]") == NULL)
            assert_int_equal(region->kind, PI_REGION_PRIVATE);
        else
            assert_int_not_equal(region->kind, PI_REGION_PRIVATE);
        if (region->kind != PI_REGION_IMAGE)
            assert_true(region->allocation_address == start);
    }
    assert_int_equal(count, snapshot->region_count);
    free(line);
    fclose(file);
}

static void assert_region(const pi_snapshot *snapshot, uint64_t address, size_t pages,
                          uint32_t access, pi_region_kind kind) {
    const pi_region_snapshot *region = find_region(snapshot, address);
    assert_true(region->range.address == address);
    if (pages != 0) /* else the kernel may have joined it to a neighbour */
        assert_int_equal(region->range.size_bytes, pages * PAGE);
    assert_int_equal(region->access, access);
    assert_int_equal(region->kind, kind);
}

static void assert_image(const pi_snapshot *snapshot, uint64_t address, uint64_t base) {
    const pi_region_snapshot *region = find_region(snapshot, address);
    assert_int_equal(region->kind, PI_REGION_IMAGE);
    assert_true(region->allocation_address == base);
}

static uint64_t base_of(uint64_t address) {
    Dl_info info;
    assert_int_not_equal(dladdr((void *)(uintptr_t)address, &info), 0);
    return (uint64_t)(uintptr_t)info.dli_fbase;
}

static int of_the_program = 1;

static void what_a_process_has_mapped(void **state) {
    (void)state;
    test_child child = child_start(mapper_body);
    assert_true(wait_for_thread_state(child.pid, child.pid, 'S'));
    pi_snapshot *snapshot = capture_child_as(&child, PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY_INFO);
    assert_int_equal(snapshot->report.effective_type, 0x20800);
    assert_int_equal(snapshot->report.note_count, 0);
    assert_as_in_its_maps(snapshot);
    uint64_t words[8];
    for (int i = 0; i < 8; i++)
        words[i] = atomic_load(&child.board->words[i]);
    assert_int_equal(find_region(snapshot, words[ANONYMOUS])->access, R | W);
    assert_int_equal(find_region(snapshot, words[ANONYMOUS])->kind, PI_REGION_PRIVATE);
    assert_region(snapshot, words[NO_ACCESS], 5, 0, PI_REGION_PRIVATE);
    assert_region(snapshot, words[SHARED], 2, R | W, PI_REGION_MAPPED);
    assert_region(snapshot, words[FILE_PRIVATE], 4, R | W, PI_REGION_MAPPED);
    assert_region(snapshot, words[FILE_SHARED], 4, R, PI_REGION_MAPPED);
    assert_region(snapshot, words[PROGRAM_AS_DATA], 1, R, PI_REGION_MAPPED);
    assert_region(snapshot, words[SPLIT] + 3 * PAGE, 3, R, PI_REGION_PRIVATE);
    assert_int_equal(find_region(snapshot, words[SPLIT])->access, R | W);
    assert_int_equal(find_region(snapshot, words[SPLIT] + 6 * PAGE)->access, R | W);
    assert_region(snapshot, words[CODE], 1, R | X, PI_REGION_PRIVATE);
    /* A forked child has everything where we have it. */
    const uint64_t code = (uint64_t)(uintptr_t)what_a_process_has_mapped;
    const uint64_t variable = (uint64_t)(uintptr_t)&of_the_program;
    const uint64_t libc_code = (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, "qsort");
    const uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
    assert_image(snapshot, code, base_of(code));
    assert_image(snapshot, variable, base_of(code));
    assert_image(snapshot, libc_code, base_of(libc_code));
    assert_image(snapshot, vdso, vdso);
    int local;
    assert_int_equal(find_region(snapshot, (uint64_t)(uintptr_t)&local)->kind, PI_REGION_PRIVATE);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

/* Every mapping that is a module's in the list of modules, and no other, is an image's. */
static void images_are_the_modules(void **state) {
    (void)state;
    test_child child = child_start(mapper_body);
    pi_snapshot *snapshot = capture_child_as(&child, PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY_INFO);
    size_t images = 0, firsts = 0;
    for (size_t i = 0; i < snapshot->region_count; i++) {
        const pi_region_snapshot *region = &snapshot->regions[i];
        images += region->kind == PI_REGION_IMAGE;
        bool is_known = false;
        for (size_t k = 0; k < snapshot->modules->count; k++) {
            const procinspect_module_info *module = snapshot->modules->items[k];
            is_known |= region->kind == PI_REGION_IMAGE &&
                        region->allocation_address == module->base_address &&
                        region->range.address >= module->base_address &&
                        region->range.address + region->range.size_bytes <=
                            module->base_address + module->size_bytes;
            firsts += region->range.address == module->base_address;
        }
        assert_int_equal(is_known, region->kind == PI_REGION_IMAGE);
    }
    assert_int_equal(firsts, snapshot->modules->count);
    assert_true(images > 2 * snapshot->modules->count);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

static void without_the_flag_there_are_none(void **state) {
    (void)state;
    test_child child = child_start(beating_body);
    static const uint32_t types[] = {0, PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA,
                                     PROCINSPECT_DUMP_TYPE_WITH_THREAD_INFO,
                                     PROCINSPECT_DUMP_TYPE_IGNORE_INACCESSIBLE_MEMORY};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        pi_snapshot *snapshot = capture_child_as(&child, types[i]);
        assert_null(snapshot->regions);
        assert_int_equal(snapshot->region_count, 0);
        pi_snapshot_free(snapshot);
    }
    child_end(&child);
}

/* As many mappings as the kernel lets a process have: none can be joined to its neighbour. */
static void crowded_body(child_board *board) {
    enum { MOST = 200000 };
    char *memory = map(MOST, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    uint64_t count = 0;
    while (count < MOST / 2 && mprotect(memory + 2 * count * PAGE, PAGE, PROT_READ) == 0)
        count++;
    atomic_store(&board->words[0], count);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void as_many_as_the_kernel_allows(void **state) {
    (void)state;
    test_child child = child_start(crowded_body);
    uint64_t made = atomic_load(&child.board->words[0]);
    assert_true(made > 30000);
    pi_snapshot *snapshot = capture_child_as(&child, PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY_INFO);
    assert_true(snapshot->region_count >= 2 * made);
    assert_as_in_its_maps(snapshot);
    print_message("%zu mappings\n", snapshot->region_count);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_process_has_mapped),
        cmocka_unit_test(images_are_the_modules),
        cmocka_unit_test(without_the_flag_there_are_none),
        cmocka_unit_test(as_many_as_the_kernel_allows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
