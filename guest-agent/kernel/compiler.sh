#!/bin/sh
# The C compiler for the kernel's makefiles: $KERNEL_CC, with precompiled headers (headers.h). Most of what gcc does
# for an object is to read the same headers again.
#
# gcc takes a precompiled header only as the very first include, and only if no macro that occurs in it is defined
# before. So $KERNEL_PREFIX (which headers.h is precompiled for) comes in the place of the three headers that the
# makefiles include first, and the names of object and module, which they define on the command line, come behind it,
# from a file next to the object. With flags of another kind (vDSO, 32 bits, no stack protector) gcc leaves what is
# precompiled aside and reads $KERNEL_PREFIX itself: those three headers.
#
# A file that can't be compiled so (it gives a variable the name of a macro of headers that it does not include) is
# compiled as if nothing of this were there.

precompiled() {
    previous='' object='' names=''
    for argument; do
        shift
        case $previous$argument in
        -include) ;;
        -include*/compiler-version.h | -include*/kconfig.h | -include*/compiler_types.h) ;;
        -include*) set -- "$@" -include "$argument" ;;
        -D*KBUILD_*=*)
            argument=${argument#-D}
            names="$names#define ${argument%%=*} ${argument#*=}
"
            ;;
        -o*)
            object=$argument
            set -- "$@" "$argument"
            ;;
        *) set -- "$@" "$argument" ;;
        esac
        case $argument in
        -include | -o) previous=$argument ;;
        *) previous='' ;;
        esac
    done
    printf %s "$names" >"$object.h"
    "$KERNEL_CC" -include "$KERNEL_PREFIX" -include "$object.h" "$@"
}

# Only files of the kernel in C, and no questions about the compiler. init/main.c defines DEBUG for the headers, to keep
# its debug messages.
case " $* " in
*" -o init/main.o "*) ;;
*"/include/linux/compiler_types.h "*" -o "*)
    if [ -e "$KERNEL_PREFIX.gch" ] && words=$(precompiled "$@" 2>&1); then
        [ -z "$words" ] || printf '%s\n' "$words" >&2
        exit 0
    fi
    ;;
esac
exec "$KERNEL_CC" "$@"
