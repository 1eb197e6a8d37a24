/* SPDX-License-Identifier: MIT */
#include "platform/linux/modules.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancellation.h"
#include "base/error.h"
#include "platform/linux/auxv.h"
#include "platform/linux/living.h"
#include "platform/linux/module_info.h"
#include "platform/linux/module_mappings.h"
#include "platform/linux/program_start.h"

static const size_t largest_maps = (size_t)64 * 1024 * 1024;

/* One reading of a process's modules. On the heap, for its buffers. */
typedef struct module_scan {
    const pi_process *process;
    uint64_t wanted_base;                         /* 0: all */
    bool is_captured;                             /* the process may have ended since */
    const procinspect_cancellation *cancellation; /* nullable */
    uint64_t members;
    pi_arena *arena;
    procinspect_error *error;
    pi_auxv auxv;
    pi_file_mappings mappings;
    procinspect_module_info **items; /* malloc'ed */
    size_t count;
    size_t capacity;
    pi_elf elf;
    pi_module_object object;
} module_scan;

/* The mappings of one file. */
typedef struct mapped_file {
    const pi_file_mapping *items;
    size_t count;
    bool is_executable; /* any of them */
} mapped_file;

static int32_t arena_failed(const module_scan *scan) {
    if (!pi_arena_limit_reached(scan->arena))
        return pi_error_no_memory(scan->error);
    return pi_error_set(scan->error, PROCINSPECT_ERROR_TOO_LARGE, 0,
                        "Process %d has more modules, or longer names, than this library takes "
                        "from one process; ask for one module by its base address.",
                        scan->process->pid);
}

static int32_t add_module(module_scan *scan, const procinspect_module_info *info) {
    if (scan->count == scan->capacity) {
        size_t capacity = scan->capacity == 0 ? 64 : scan->capacity * 2;
        procinspect_module_info **items = realloc(scan->items, capacity * sizeof *items);
        if (items == NULL)
            return pi_error_no_memory(scan->error);
        scan->items = items;
        scan->capacity = capacity;
    }
    procinspect_module_info *kept = pi_arena_alloc(scan->arena, sizeof *kept);
    if (kept == NULL)
        return arena_failed(scan);
    *kept = *info;
    scan->items[scan->count++] = kept;
    return PROCINSPECT_OK;
}

static bool begins_file(const pi_file_mapping *item) {
    return item->mapping.offset == 0;
}

/* The mapping whose start is the header: of copies, the one before the code. NULL: none. */
static const pi_mapping *find_header(const mapped_file *file) {
    const pi_mapping *header = NULL;
    for (size_t i = 0; i < file->count; i++) {
        if (begins_file(&file->items[i]))
            header = &file->items[i].mapping;
        bool is_code = (file->items[i].mapping.permissions & PI_MAPPING_EXECUTE) != 0;
        if (header != NULL && (is_code || !file->is_executable))
            return header;
    }
    return header;
}

static bool is_wanted(const module_scan *scan, const mapped_file *file) {
    for (size_t i = 0; i < file->count && scan->wanted_base != 0; i++)
        if (begins_file(&file->items[i]) && file->items[i].mapping.start == scan->wanted_base)
            return true;
    return scan->wanted_base == 0;
}

/*
 * How many mappings from `first`, a header's, make one loaded copy: those in the reach of the ELF
 * image or, where that isn't known, those that no other file's mapping comes between.
 */
static size_t count_of_copy(const mapped_file *file, size_t first, uint64_t image_size_bytes) {
    uint64_t base = file->items[first].mapping.start;
    size_t next = first + 1;
    for (; next < file->count; next++) {
        const pi_file_mapping *item = &file->items[next];
        bool is_near = item->sequence == file->items[next - 1].sequence + 1;
        if (image_size_bytes != 0 ? item->mapping.start - base >= image_size_bytes : !is_near)
            break;
    }
    return next - first;
}

/* Each loaded copy of the file: mostly one. A copy that only holds data beside one that holds code
 * is somebody's view of the file, not a module. */
static int32_t add_copies(module_scan *scan, const mapped_file *file, uint64_t image_size_bytes,
                          procinspect_module_info *info) {
    for (size_t i = 0; i < file->count;) {
        if (!begins_file(&file->items[i])) {
            i++;
            continue;
        }
        uint64_t base = file->items[i].mapping.start;
        uint64_t end = 0;
        uint32_t permissions = 0;
        for (size_t left = count_of_copy(file, i, image_size_bytes); left > 0; left--, i++) {
            end = file->items[i].mapping.end;
            permissions |= file->items[i].mapping.permissions;
        }
        bool is_module = !file->is_executable || (permissions & PI_MAPPING_EXECUTE) != 0;
        if (!is_module || (scan->wanted_base != 0 && scan->wanted_base != base))
            continue;
        info->base_address = base;
        info->size_bytes = end - base;
        info->flags &= ~(uint32_t)PROCINSPECT_MODULE_FLAG_EXECUTABLE;
        if (scan->auxv.entry >= base && scan->auxv.entry < end)
            info->flags |= PROCINSPECT_MODULE_FLAG_EXECUTABLE;
        int32_t result = add_module(scan, info);
        if (result != PROCINSPECT_OK || !file->is_executable)
            return result;
    }
    return PROCINSPECT_OK;
}

/* Out of descriptors or memory everything looks unreadable. */
static int32_t check_exhaustion(const module_scan *scan) {
    int os_errno = scan->object.exhausted_errno;
    if (os_errno == 0)
        return PROCINSPECT_OK;
    if (os_errno == ENOMEM)
        return pi_error_no_memory(scan->error);
    return pi_error_set(scan->error, PROCINSPECT_ERROR_NO_RESOURCES, os_errno,
                        "Reading the modules of process %d failed: %s. Close descriptors or raise "
                        "the host's limit.",
                        (int)scan->process->pid, strerrordesc_np(os_errno));
}

static int32_t scan_file(module_scan *scan, const mapped_file *file) {
    const pi_mapping *header = find_header(file);
    if (header == NULL || !is_wanted(scan, file))
        return PROCINSPECT_OK;
    /* Files of data are many, and a look at the memory is cheaper than one at the file. */
    if (!file->is_executable && !pi_module_object_may_be_elf(&scan->object, header))
        return PROCINSPECT_OK;
    if (pi_module_object_use_mapping(&scan->object, header) != 0)
        return pi_error_no_memory(scan->error);
    pi_elf_answer opened = pi_elf_open(&scan->elf, &scan->object.source);
    if (opened == PI_ELF_NONE || (opened != PI_ELF_FOUND && !file->is_executable))
        return PROCINSPECT_OK;
    procinspect_module_info info;
    if (!pi_module_info_fill(&scan->object, &scan->elf, opened, false, scan->members, scan->arena,
                             &info))
        return arena_failed(scan);
    if (scan->object.is_path_stale)
        info.flags |= PROCINSPECT_MODULE_FLAG_DELETED;
    return add_copies(scan, file, opened == PI_ELF_FOUND ? scan->elf.image_size_bytes : 0, &info);
}

static int32_t scan_vdso(module_scan *scan) {
    const pi_mapping *vdso = &scan->mappings.vdso;
    if (vdso->end == 0 || (scan->wanted_base != 0 && scan->wanted_base != vdso->start))
        return PROCINSPECT_OK;
    pi_module_object_use_memory(&scan->object, vdso->start, vdso->end - vdso->start);
    /* Where the program says that it is, anything can be. */
    scan->object.is_memory_checked = !pi_mapping_is_named(vdso, "[vdso]");
    pi_elf_answer opened = pi_elf_open(&scan->elf, &scan->object.source);
    if (opened == PI_ELF_UNREADABLE && scan->is_captured) {
        pi_module_object_use_own_vdso(&scan->object);
        opened = pi_elf_open(&scan->elf, &scan->object.source);
    }
    if (opened == PI_ELF_NONE)
        return PROCINSPECT_OK;
    procinspect_module_info info;
    if (!pi_module_info_fill(&scan->object, &scan->elf, opened, true, scan->members, scan->arena,
                             &info))
        return arena_failed(scan);
    info.base_address = vdso->start;
    info.size_bytes = vdso->end - vdso->start;
    info.flags = PROCINSPECT_MODULE_FLAG_VDSO;
    return add_module(scan, &info);
}

static int compare_bases(const void *left, const void *right) {
    uint64_t a = (*(const procinspect_module_info *const *)left)->base_address;
    uint64_t b = (*(const procinspect_module_info *const *)right)->base_address;
    return (a > b) - (a < b);
}

static int32_t scan_all(module_scan *scan) {
    int32_t result = check_exhaustion(scan);
    for (size_t i = 0; i < scan->mappings.count && result == PROCINSPECT_OK;) {
        mapped_file file = {
            .items = &scan->mappings.items[i],
            .count = pi_file_mappings_of_one_file(&scan->mappings, i),
        };
        for (size_t each = 0; each < file.count; each++)
            file.is_executable |= (file.items[each].mapping.permissions & PI_MAPPING_EXECUTE) != 0;
        i += file.count;
        result = scan_file(scan, &file);
        if (result == PROCINSPECT_OK)
            result = check_exhaustion(scan);
        if (result == PROCINSPECT_OK && pi_cancellation_is_requested(scan->cancellation))
            result = pi_error_cancelled(scan->error);
    }
    if (result == PROCINSPECT_OK)
        result = scan_vdso(scan);
    if (result == PROCINSPECT_OK)
        result = check_exhaustion(scan);
    if (result == PROCINSPECT_OK && scan->count > 1)
        qsort(scan->items, scan->count, sizeof(void *), compare_bases);
    return result;
}

static int32_t hand_out(const module_scan *scan, procinspect_module_list *list) {
    const procinspect_module_info **items = NULL;
    if (scan->count != 0) {
        items = pi_arena_alloc_array(scan->arena, scan->count, sizeof *items);
        if (items == NULL)
            return arena_failed(scan);
        for (size_t i = 0; i < scan->count; i++)
            items[i] = scan->items[i];
    }
    *list = (procinspect_module_list){items, scan->count, scan->process->pid};
    return PROCINSPECT_OK;
}

/* What a process may not show us leaves the executable unmarked, no more. */
static void read_auxv(module_scan *scan) {
    enum { LARGEST_AUXV = 4096 };
    char bytes[LARGEST_AUXV];
    ssize_t length = pi_proc_read_once(scan->process->directory, "auxv", bytes, sizeof bytes);
    if (length < 0)
        pi_module_object_note_failure(&scan->object, errno);
    scan->auxv = length > 0 ? pi_auxv_parse(bytes, (size_t)length) : (pi_auxv){0};
}

static void begin_scan(module_scan *scan, const pi_process *process, uint64_t members,
                       pi_arena *arena, procinspect_error *error) {
    scan->process = process;
    scan->wanted_base = 0;
    scan->is_captured = false;
    scan->cancellation = NULL;
    scan->members = members;
    scan->arena = arena;
    scan->error = error;
    scan->items = NULL;
    scan->count = scan->capacity = 0;
    pi_module_object_init(&scan->object, process);
}

static int32_t carry_out(module_scan *scan, pi_bytes maps, procinspect_module_list *list) {
    int32_t result = pi_file_mappings_read(maps.data, maps.length, scan->auxv.vdso, &scan->mappings,
                                           scan->error);
    if (result != PROCINSPECT_OK)
        return result;
    result = scan_all(scan);
    if (result == PROCINSPECT_OK)
        result = hand_out(scan, list);
    pi_file_mappings_free(&scan->mappings);
    return result;
}

static void end_scan(module_scan *scan) {
    pi_module_object_close(&scan->object);
    free(scan->items);
    free(scan);
}

static int32_t read_modules(const pi_process *process, pi_bytes maps, uint64_t base_address,
                            uint64_t members, pi_arena *arena, procinspect_module_list *list,
                            procinspect_error *error) {
    module_scan *scan = malloc(sizeof *scan);
    if (scan == NULL)
        return pi_error_no_memory(error);
    begin_scan(scan, process, members, arena, error);
    scan->wanted_base = base_address;
    read_auxv(scan);
    int32_t result = carry_out(scan, maps, list);
    end_scan(scan);
    return result;
}

int32_t pi_modules_from_captured(const pi_process *process, const pi_modules_captured *captured,
                                 uint64_t members, pi_arena *arena, procinspect_module_list *list,
                                 procinspect_error *error) {
    module_scan *scan = malloc(sizeof *scan);
    if (scan == NULL)
        return pi_error_no_memory(error);
    begin_scan(scan, process, members, arena, error);
    scan->is_captured = true;
    scan->cancellation = captured->cancellation;
    scan->auxv = pi_auxv_parse(captured->auxv.data, captured->auxv.length);
    int32_t result = PROCINSPECT_OK;
    if (pi_module_object_use_root(&scan->object, captured->root) != 0)
        result = pi_process_failed(process, "root", errno, error);
    if (result == PROCINSPECT_OK)
        result = carry_out(scan, captured->maps, list);
    end_scan(scan);
    return result;
}

/* The text of maps; a process without memory of its own (kernel thread, zombie) has an empty one.
 */
static int32_t read_maps(const pi_process *process, const pi_process *files, pi_buffer *maps,
                         procinspect_error *error) {
    int result = pi_read_file_at(files->directory, "maps", maps, largest_maps + 1);
    if (result == -ESRCH || (result == 0 && maps->length == 0)) {
        maps->length = 0;
        return pi_process_check_memory(process, error);
    }
    if (result != 0)
        return pi_process_failed(process, "maps", -result, error);
    if (maps->length > largest_maps)
        return pi_error_set(error, PROCINSPECT_ERROR_TOO_LARGE, 0,
                            "The maps of process %d have more than %zu bytes, which is the most "
                            "that is read.",
                            process->pid, largest_maps);
    return PROCINSPECT_OK;
}

/* By the files of a thread that lives. */
static int32_t read_once(const pi_process *process, uint64_t base_address, uint64_t members,
                         pi_arena *arena, procinspect_module_list *list, procinspect_error *error) {
    pi_buffer maps = {0};
    pi_living living = {0};
    pi_process files = *process;
    int32_t result, turned;
    do {
        result = read_maps(process, &files, &maps, error);
        if (result == PROCINSPECT_OK)
            result = read_modules(&files, (pi_bytes){maps.data, maps.length}, base_address, members,
                                  arena, list, error);
        /* Had the thread ended meanwhile, the objects couldn't be read, all or some. */
        turned = pi_living_may_help(result)
                     ? pi_living_turn_process(process, &living, &files, error)
                     : PI_LIVING_STANDS;
    } while (turned == PI_LIVING_TURNED);
    pi_living_close(process, &files);
    pi_buffer_free(&maps);
    return turned != PI_LIVING_STANDS ? turned : result;
}

/* Of a process that had none: in the middle of execve the old ones are gone, and the new ones not
 * there yet. */
static int32_t read_again(const pi_process *process, uint64_t base_address, uint64_t members,
                          pi_arena *arena, procinspect_module_list *list,
                          procinspect_error *error) {
    for (int look = 0; look < PI_PROGRAM_START_LOOKS; look++) {
        pi_program_look before = pi_program_look_at(process->directory, "stat");
        int32_t result = read_once(process, base_address, members, arena, list, error);
        if (result != PROCINSPECT_OK || list->count != 0 ||
            pi_program_stood(before, pi_program_look_at(process->directory, "stat")))
            return result;
        pi_program_start_pause();
    }
    return pi_error_set(error, PROCINSPECT_ERROR_IO, EBUSY, "%s", pi_starting_reason);
}

int32_t pi_modules_read(const pi_process *process, uint64_t base_address, uint64_t members,
                        pi_arena *arena, procinspect_module_list *list, procinspect_error *error) {
    procinspect_module_list found;
    int32_t result = read_once(process, base_address, members, arena, &found, error);
    if (result == PROCINSPECT_OK && found.count == 0)
        result = read_again(process, base_address, members, arena, &found, error);
    if (result != PROCINSPECT_OK)
        return result;
    if (base_address != 0 && found.count == 0)
        return pi_error_set(error, PROCINSPECT_ERROR_NOT_FOUND, 0,
                            "Process %d has no module with the base address %" PRIx64
                            "; its module list has the bases there are.",
                            process->pid, base_address);
    *list = found;
    return PROCINSPECT_OK;
}
