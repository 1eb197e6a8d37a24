/* SPDX-License-Identifier: MIT */
#include "platform/linux/module_info.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "model/file_version.h"
#include "model/package_note.h"

/* The members that came from no more than the ELF object. */
static const uint64_t elf_members = PROCINSPECT_MODULE_BUILD_ID | PROCINSPECT_MODULE_SONAME |
                                    PROCINSPECT_MODULE_PACKAGE | PROCINSPECT_MODULE_IS_DEBUG |
                                    PROCINSPECT_MODULE_TEXT_HASH;

enum { MAX_REASONS = 8 };

typedef struct info_filler {
    pi_module_object *object;
    const pi_elf *elf;
    pi_elf_answer opened;
    bool is_vdso;
    uint64_t members;
    pi_arena *arena;
    procinspect_module_info *info;
    bool is_out_of_memory;
    procinspect_unavailable reasons[MAX_REASONS];
    size_t reason_count;
} info_filler;

/* Members that fail for one reason share an entry. */
static void set_unavailable(info_filler *filler, uint64_t members, int32_t code, int os_errno,
                            const char *reason) {
    for (size_t i = 0; i < filler->reason_count; i++) {
        procinspect_unavailable *given = &filler->reasons[i];
        if (given->reason == reason && given->code == code && given->os_errno == os_errno) {
            given->members |= members;
            return;
        }
    }
    if (filler->reason_count < MAX_REASONS)
        filler->reasons[filler->reason_count++] =
            (procinspect_unavailable){members, code, os_errno, reason};
}

static void set_memory_unavailable(info_filler *filler, uint64_t member, int os_errno) {
    int32_t code = os_errno == 0 ? PROCINSPECT_ERROR_IO : pi_error_code_of_errno(os_errno);
    const char *reason;
    if (code == PROCINSPECT_ERROR_PERMISSION)
        reason = "Neither the file nor the memory of the process may be read by this user: it "
                 "takes ptrace access to the process (its own user, and ptrace_scope 0 where "
                 "there is Yama) or CAP_SYS_PTRACE.";
    else if (code == PROCINSPECT_ERROR_NOT_FOUND)
        reason = "The file is not there, nor is the memory of the process.";
    else if (os_errno == ENODATA)
        reason = "The file can't be read, and what is mapped of it is not in memory at the moment: "
                 "fetching it could wait for ever.";
    else
        reason = "The file is not there, and the process's memory can't be read at this address.";
    set_unavailable(filler, member, code, os_errno, reason);
}

/* Takes note of what one of the ELF readers answered; true where the member is known. */
static bool take_answer(info_filler *filler, uint64_t member, pi_elf_answer answer) {
    int os_errno = filler->object->read_errno;
    if (answer == PI_ELF_UNREADABLE && os_errno == EFBIG) {
        set_unavailable(filler, member, PROCINSPECT_ERROR_TOO_LARGE, 0,
                        "The modules of this process take more work than one call does; ask for "
                        "this one alone, by its base address.");
        return false;
    }
    switch (answer) {
    case PI_ELF_FOUND:
    case PI_ELF_NONE:
        filler->info->known |= member;
        return true;
    case PI_ELF_MALFORMED:
        set_unavailable(filler, member, PROCINSPECT_ERROR_UNSUPPORTED, 0,
                        "The ELF object contradicts itself, exceeds a limit of this library, or is "
                        "of a kind that it doesn't know.");
        return false;
    case PI_ELF_UNREADABLE:
        if (filler->object->file < 0)
            set_memory_unavailable(filler, member, os_errno);
        else
            set_unavailable(filler, member, PROCINSPECT_ERROR_IO, os_errno,
                            "The file is cut short, or reading it failed.");
        return false;
    }
    return false;
}

static char *keep_text(info_filler *filler, const void *bytes, size_t length) {
    char *text = pi_utf8_repair(filler->arena, bytes, length);
    filler->is_out_of_memory |= text == NULL;
    return text;
}

static void *keep_bytes(info_filler *filler, const void *bytes, size_t length) {
    void *copy = pi_arena_copy(filler->arena, bytes, length);
    filler->is_out_of_memory |= copy == NULL;
    return copy;
}

static const char *path_of(const info_filler *filler, size_t *length) {
    static const char vdso_path[] = "linux-gate.so";
    *length = filler->is_vdso ? sizeof vdso_path - 1 : filler->object->path_length;
    return filler->is_vdso ? vdso_path : filler->object->path;
}

static void fill_path(info_filler *filler) {
    procinspect_module_info *info = filler->info;
    size_t length;
    const char *path = path_of(filler, &length);
    info->path_bytes = keep_bytes(filler, path, length);
    info->path_bytes_length = length;
    char *text = keep_text(filler, path, length);
    if (text == NULL)
        return;
    const char *slash = strrchr(text, '/');
    info->path = text;
    info->file_name = slash == NULL ? text : slash + 1;
    info->known |= PROCINSPECT_MODULE_PATH;
}

static void fill_build_id(info_filler *filler) {
    unsigned char build_id[PI_ELF_MAX_BUILD_ID];
    size_t length = 0;
    pi_elf_answer answer = pi_elf_read_build_id(filler->elf, build_id, &length);
    if (!take_answer(filler, PROCINSPECT_MODULE_BUILD_ID, answer) || answer == PI_ELF_NONE)
        return;
    filler->info->build_id = keep_bytes(filler, build_id, length);
    filler->info->build_id_length = length;
}

static void fill_package(info_filler *filler) {
    char text[PI_ELF_MAX_PACKAGE];
    size_t length = 0;
    pi_package_note note = {0};
    pi_elf_answer answer = pi_elf_read_package(filler->elf, text, &length);
    if (answer == PI_ELF_FOUND && !pi_package_note_parse(text, length, &note))
        answer = PI_ELF_MALFORMED;
    if (!take_answer(filler, PROCINSPECT_MODULE_PACKAGE, answer))
        return;
    if (note.has_name)
        filler->info->package_name = keep_text(filler, note.name, strlen(note.name));
    if (note.has_version)
        filler->info->package_version = keep_text(filler, note.version, strlen(note.version));
}

/* Behind the last slash, of the path as it is and not as it is shown. */
static pi_file_version version_of_path(const info_filler *filler) {
    size_t length;
    const char *path = path_of(filler, &length);
    const char *slash = memrchr(path, '/', length);
    size_t before = slash == NULL ? 0 : (size_t)(slash + 1 - path);
    return pi_file_version_of(path + before, length - before);
}

static void fill_file_version(info_filler *filler, const pi_file_version *version) {
    if (version->digits != NULL)
        filler->info->file_version = keep_text(filler, version->digits, version->length);
    memcpy(filler->info->file_version_parts, version->parts, sizeof version->parts);
    filler->info->known |= PROCINSPECT_MODULE_FILE_VERSION;
}

/* SONAME and what may come from it. */
static void fill_names(info_filler *filler) {
    bool wants_soname = (filler->members & PROCINSPECT_MODULE_SONAME) != 0;
    bool wants_version = (filler->members & PROCINSPECT_MODULE_FILE_VERSION) != 0;
    if (wants_version) {
        pi_file_version version = version_of_path(filler);
        wants_version = version.digits == NULL;
        if (!wants_version)
            fill_file_version(filler, &version);
    }
    if (!wants_soname && !wants_version)
        return;
    char soname[PI_ELF_MAX_SONAME];
    pi_elf_answer answer =
        filler->opened == PI_ELF_FOUND ? pi_elf_read_soname(filler->elf, soname) : filler->opened;
    uint64_t members = (wants_soname ? PROCINSPECT_MODULE_SONAME : 0) |
                       (wants_version ? PROCINSPECT_MODULE_FILE_VERSION : 0);
    if (!take_answer(filler, members, answer))
        return;
    size_t length = answer == PI_ELF_FOUND ? strlen(soname) : 0;
    if (wants_soname && length != 0)
        filler->info->soname = keep_text(filler, soname, length);
    if (wants_version) {
        pi_file_version version = pi_file_version_of(soname, length);
        fill_file_version(filler, &version);
    }
}

/* Only the file tells, and it can't be opened. */
static void set_file_unavailable(info_filler *filler, uint64_t member) {
    const pi_module_object *object = filler->object;
    int32_t code = pi_error_code_of_errno(object->file_errno);
    const char *reason = "Only the file tells, and it can't be opened.";
    if (object->is_path_stale) {
        code = PROCINSPECT_ERROR_NOT_FOUND;
        reason = "Only the file tells, and it was deleted or replaced; opening it all the same "
                 "takes CAP_CHECKPOINT_RESTORE.";
    } else if (object->file_errno == EREMOTE) {
        reason = "Only the file tells, and it isn't opened: it is on FUSE or a network file "
                 "system, which could keep us waiting for ever, or can't be found in the kernel's "
                 "cache of names.";
    } else if (code == PROCINSPECT_ERROR_PERMISSION) {
        reason = "Only the file tells, and this user may not read it.";
    }
    set_unavailable(filler, member, code, object->file_errno, reason);
}

/* True where there is the file to ask; otherwise the member is unavailable. */
static bool has_file(info_filler *filler, uint64_t member) {
    if (filler->is_vdso) {
        set_unavailable(filler, member, PROCINSPECT_ERROR_NOT_FOUND, 0,
                        "The vDSO is the kernel's, and has no file.");
        return false;
    }
    if (filler->object->file < 0) {
        set_file_unavailable(filler, member);
        return false;
    }
    return true;
}

static void fill_is_debug(info_filler *filler) {
    if (!has_file(filler, PROCINSPECT_MODULE_IS_DEBUG))
        return;
    pi_elf_section section;
    pi_elf_answer answer = pi_elf_find_section(filler->elf, ".debug_info", &section);
    if (take_answer(filler, PROCINSPECT_MODULE_IS_DEBUG, answer))
        filler->info->is_debug = answer == PI_ELF_FOUND;
}

static void fill_text_hash(info_filler *filler) {
    unsigned char build_id[PI_ELF_MAX_BUILD_ID], hash[PI_ELF_TEXT_HASH];
    size_t length;
    pi_elf_answer answer = pi_elf_read_build_id(filler->elf, build_id, &length);
    if (answer == PI_ELF_FOUND) {
        filler->info->known |= PROCINSPECT_MODULE_TEXT_HASH;
        return;
    }
    if (!has_file(filler, PROCINSPECT_MODULE_TEXT_HASH))
        return;
    answer = pi_elf_hash_text(filler->elf, hash);
    if (take_answer(filler, PROCINSPECT_MODULE_TEXT_HASH, answer) && answer == PI_ELF_FOUND)
        filler->info->text_hash = keep_bytes(filler, hash, sizeof hash);
}

static void keep_reasons(info_filler *filler) {
    size_t count = filler->reason_count;
    if (count == 0)
        return;
    procinspect_unavailable *copies = pi_arena_alloc_array(filler->arena, count, sizeof *copies);
    const procinspect_unavailable **items =
        pi_arena_alloc_array(filler->arena, count, sizeof *items);
    if (copies == NULL || items == NULL) {
        filler->is_out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        copies[i] = filler->reasons[i];
        items[i] = &copies[i];
    }
    filler->info->unavailable = items;
    filler->info->unavailable_count = count;
}

bool pi_module_info_fill(pi_module_object *object, const pi_elf *elf, pi_elf_answer opened,
                         bool is_vdso, uint64_t members, pi_arena *arena,
                         procinspect_module_info *info) {
    info_filler filler = {
        .object = object,
        .elf = elf,
        .opened = opened,
        .is_vdso = is_vdso,
        .members = members,
        .arena = arena,
        .info = info,
    };
    *info = (procinspect_module_info){.pid = object->process->pid};
    if ((members & PROCINSPECT_MODULE_PATH) != 0)
        fill_path(&filler);
    fill_names(&filler);
    uint64_t wanted = members & elf_members & ~PROCINSPECT_MODULE_SONAME;
    if (opened != PI_ELF_FOUND) {
        if (wanted != 0)
            take_answer(&filler, wanted, opened);
    } else {
        if ((wanted & PROCINSPECT_MODULE_BUILD_ID) != 0)
            fill_build_id(&filler);
        if ((wanted & PROCINSPECT_MODULE_PACKAGE) != 0)
            fill_package(&filler);
        if ((wanted & PROCINSPECT_MODULE_IS_DEBUG) != 0)
            fill_is_debug(&filler);
        if ((wanted & PROCINSPECT_MODULE_TEXT_HASH) != 0)
            fill_text_hash(&filler);
    }
    keep_reasons(&filler);
    return !filler.is_out_of_memory;
}
