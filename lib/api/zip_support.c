/* SPDX-License-Identifier: MIT */
#include "api/zip_support.h"

#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "base/text.h"

static bool is_listed(const pi_zip_support *support, const char *first_place) {
    for (size_t i = 0; i < support->count; i++)
        if (strcmp(support->items[i]->first_place, first_place) == 0)
            return true;
    return false;
}

static void give_back(pi_support_file *file) {
    pi_close(file->descriptor);
    file->descriptor = -1;
}

static void fill_line(procinspect_zip_file *line, const pi_support_rule *rule,
                      const procinspect_module_info *module, const pi_support_file *file,
                      pi_arena *arena) {
    *line = (procinspect_zip_file){
        .runtime = rule->runtime,
        .path = pi_utf8_repair(arena, file->path, strlen(file->path)),
        .module_path = module->path, /* the dump's, which the zip keeps */
        .module_build_id = module->build_id,
        .module_build_id_length = module->build_id_length,
        .state = file->answer == PI_SUPPORT_ABSENT ? PROCINSPECT_ZIP_FILE_ABSENT
                                                   : PROCINSPECT_ZIP_FILE_REFUSED,
        .flags = file->from_target ? PROCINSPECT_ZIP_FILE_FROM_TARGET : 0,
    };
    if (file->answer != PI_SUPPORT_FOUND)
        line->reason = pi_utf8_repair(arena, file->text, strlen(file->text));
    else
        line->state = PROCINSPECT_ZIP_FILE_WHOLE;
}

/* Those in the zip come first, in the order in which they were found. */
static void insert(pi_zip_support *support, pi_zip_support_item *item) {
    size_t place = item->file != NULL ? support->file_count++ : support->count;
    memmove(&support->items[place + 1], &support->items[place],
            (support->count - place) * sizeof(support->items[0]));
    support->items[place] = item;
    support->count++;
}

/* Keeps what was found, or that it wasn't; takes over the descriptor. False: out of memory. */
static bool add(pi_zip_support *support, const pi_support_rule *rule,
                const procinspect_module_info *module, const char *first_place,
                pi_support_file *file) {
    if (file->answer == PI_SUPPORT_FOUND && support->file_count == PI_ZIP_SUPPORT_FILES) {
        give_back(file);
        file->answer = PI_SUPPORT_REFUSED;
        strcpy(file->text, "A zip has at most 16 support files.");
    }
    if (support->count == PI_ZIP_SUPPORT_ITEMS) {
        give_back(file);
        support->more_count++;
        return true;
    }
    pi_zip_support_item *item = pi_arena_alloc(support->arena, sizeof *item);
    if (item == NULL)
        return false;
    fill_line(&item->line, rule, module, file, support->arena);
    item->first_place = pi_arena_copy(support->arena, first_place, strlen(first_place));
    bool is_whole = item->line.path != NULL && item->first_place != NULL &&
                    (item->line.reason != NULL || file->answer == PI_SUPPORT_FOUND);
    if (is_whole && file->answer == PI_SUPPORT_FOUND) {
        item->file = (pi_support_file *)pi_arena_copy(support->arena, file, sizeof *file);
        is_whole = item->file != NULL;
    }
    if (!is_whole)
        return false;
    if (item->file != NULL && file->build_id_length != 0) {
        item->line.build_id = item->file->build_id;
        item->line.build_id_length = file->build_id_length;
    }
    insert(support, item);
    return true;
}

/* One rule's file for one module. False: out of memory. */
static bool look(pi_zip_support *support, pi_support_search *search, const pi_support_rule *rule,
                 const procinspect_module_info *module, uint64_t *bytes_left) {
    char first_place[PI_SUPPORT_PATH_SIZE];
    pi_support_file file;
    if (!pi_support_place(rule, 0, module->path_bytes, first_place, sizeof first_place) ||
        is_listed(support, first_place))
        return true;
    pi_support_find(search, rule, module, *bytes_left, &file);
    bool is_worth_a_word = rule->is_expected || (file.is_seen && file.answer != PI_SUPPORT_ABSENT);
    if (!is_worth_a_word)
        return true;
    size_t files_before = support->file_count;
    if (!add(support, rule, module, first_place, &file)) {
        give_back(&file);
        return false;
    }
    if (support->file_count != files_before)
        *bytes_left -= file.size_bytes;
    return true;
}

int32_t pi_zip_support_find(pi_zip_support *support, const procinspect_module_list *modules,
                            pi_support_search *search, uint64_t max_bytes,
                            procinspect_error *error) {
    for (size_t i = 0; i < modules->count && i < PI_ZIP_SUPPORT_MODULES; i++) {
        const procinspect_module_info *module = modules->items[i];
        if ((module->known & PROCINSPECT_MODULE_PATH) == 0)
            continue;
        for (size_t each = 0; each < pi_support_rule_count; each++) {
            const pi_support_rule *rule = &pi_support_rules[each];
            if (pi_support_rule_applies(rule, module->path_bytes) &&
                !look(support, search, rule, module, &max_bytes))
                return pi_error_no_memory(error);
        }
    }
    if (modules->count > PI_ZIP_SUPPORT_MODULES)
        support->more_count += (uint32_t)(modules->count - PI_ZIP_SUPPORT_MODULES);
    return PROCINSPECT_OK;
}

void pi_zip_support_close(pi_zip_support *support) {
    for (size_t i = 0; i < support->file_count; i++)
        give_back(support->items[i]->file);
}

/* A file that fails is cut short in the zip, and the manifest says so: the dump is worth more. */
static int32_t read_file(void *user, void *buffer, size_t capacity, size_t *length,
                         procinspect_error *error) {
    (void)error;
    pi_zip_support_item *item = user;
    const char *problem = pi_support_file_read(item->file, item->offset, buffer, capacity, length);
    item->offset += *length;
    if (*length != 0)
        return PROCINSPECT_OK;
    if (problem == NULL)
        problem = pi_support_file_check(item->file);
    item->line.size_bytes = item->offset;
    if (problem != NULL) {
        item->line.state = PROCINSPECT_ZIP_FILE_CHANGED;
        item->line.reason = problem;
    }
    give_back(item->file);
    return PROCINSPECT_OK;
}

pi_zip_entry pi_zip_support_entry(pi_zip_support_item *item) {
    return (pi_zip_entry){.name = strrchr(item->line.path, '/') + 1,
                          .max_bytes = item->file->size_bytes,
                          .read = read_file,
                          .user = item};
}
