/* Finds socket() in every way that the loader offers. Arguments: the library itself, a plugin
   that opens a socket. */

#define _GNU_SOURCE
#include "check.h"
#include <dlfcn.h>

typedef int socket_function(int, int, int);
typedef int plugin_function(void);

static void *found(const char *what, void *handle_or_symbol)
{
    if (!handle_or_symbol) {
        printf("%s: %s\n", what, dlerror());
        exit(1);
    }
    return handle_or_symbol;
}

static void try(const char *what, int fd)
{
    print_options(what, fd);
    close(fd);
}

static void try_socket(const char *what, void *handle)
{
    socket_function *function = (socket_function *)found(what, dlsym(handle, "socket"));
    try(what, function(AF_INET, SOCK_STREAM, 0));
}

static void try_plugin(const char *what, void *handle)
{
    found(what, handle);
    plugin_function *function = (plugin_function *)found(what, dlsym(handle, "open_socket"));
    try(what, function());
    dlclose(handle);
}

int main(int count, char **arguments)
{
    if (count < 3)
        return 2;
    alarm(60);
    const char *library = arguments[1], *plugin = arguments[2];
    int before = open_descriptors();

    try("the program's own", socket(AF_INET, SOCK_STREAM, 0));
    try_socket("RTLD_DEFAULT", RTLD_DEFAULT);
    try_socket("RTLD_NEXT", RTLD_NEXT);
    try_plugin("dlopen", dlopen(plugin, RTLD_NOW | RTLD_LOCAL));
#ifdef RTLD_DEEPBIND
    try_plugin("RTLD_DEEPBIND", dlopen(plugin, RTLD_NOW | RTLD_DEEPBIND));
#endif

    /* The library as an ordinary one, at run time, many times. */
    for (int i = 0; i < 200; i++) {
        void *handle = found("the library", dlopen(library, RTLD_NOW | RTLD_LOCAL));
        socket_function *function = (socket_function *)dlsym(handle, "socket");
        int fd = function(AF_INET, SOCK_STREAM, 0);
        if (i == 199)
            print_options("the library's", fd);
        close(fd);
        dlclose(handle);
    }
    try("after dlclose", socket(AF_INET, SOCK_STREAM, 0));

#ifdef LM_ID_NEWLM
    void *handle = found("namespace", dlmopen(LM_ID_NEWLM, plugin, RTLD_NOW));
    try_plugin("a namespace without the library", handle);
    handle = found("namespace", dlmopen(LM_ID_NEWLM, library, RTLD_NOW));
    try_socket("a namespace with the library", handle);
    dlclose(handle);
    try("after dlmopen", socket(AF_INET, SOCK_STREAM, 0));
#endif
    printf("leaked=%d\n", open_descriptors() - before);
    return 0;
}
