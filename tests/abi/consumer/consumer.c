/* A program that uses the library as its users do: by its public headers, from outside its tree. */
#include <procinspect.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    procinspect_error error;
    procinspect_context *context = NULL;
    const procinspect_process_list *list = NULL;
    int found = 0;

    if (procinspect_context_new(NULL, &context, &error) != PROCINSPECT_OK ||
        procinspect_process_list_read(context, NULL, &list, &error) != PROCINSPECT_OK) {
        fprintf(stderr, "%s: %s\n", procinspect_error_name(error.code), error.message);
        procinspect_context_free(context);
        return 1;
    }
    for (size_t i = 0; i < list->count; i++)
        found += list->items[i]->pid == (int32_t)getpid();
    printf("%s: listed itself %d times\n", procinspect_version_text(), found);
    procinspect_process_list_free(list);
    procinspect_context_free(context);
    return found == 1 ? 0 : 1;
}
