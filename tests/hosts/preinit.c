/* Opens a socket in a function that the loader calls before the constructor of every library
   (ld.so(8): DT_PREINIT_ARRAY). */

#define _GNU_SOURCE
#include "check.h"

static void preinit(void)
{
    print_options("preinit", socket(AF_INET, SOCK_STREAM, 0));
}

__attribute__((section(".preinit_array"), used)) static void (*entry)(void) = preinit;

int main(void)
{
    print_options("main", socket(AF_INET, SOCK_STREAM, 0));
    return 0;
}
