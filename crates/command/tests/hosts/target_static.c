/* target.c once more, under a name of its own: it is linked statically. */

#include "target.c"
