/* Preloaded into openvpn, makes both ends take each other for an older version: what passes between openvpn and its
   TLS library says less. IV_PROTO_MASK: these bits of IV_PROTO stay. Without it, all of the peer info goes. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bio BIO;

static void make_older(char *text, int length)
{
    const char *mask = getenv("IV_PROTO_MASK");
    char *found;
    if (!mask) {
        while ((found = memmem(text, length, "IV_", 3)))
            *found = 'X';
    } else if ((found = memmem(text, length, "IV_PROTO=", 9))) {
        char number[32];
        found += 9;
        int digits = strspn(found, "0123456789");
        snprintf(number, sizeof number, "%0*ld", digits, atol(found) & atol(mask));
        memcpy(found, number, digits);
    }
}

int BIO_write(BIO *bio, const void *data, int length)
{
    int (*next)(BIO *, const void *, int) = dlsym(RTLD_NEXT, "BIO_write");
    if (length <= 0)
        return next(bio, data, length);
    char text[length + 1];
    memcpy(text, data, length);
    text[length] = 0;
    make_older(text, length);
    return next(bio, text, length);
}

int BIO_read(BIO *bio, void *data, int length)
{
    int (*next)(BIO *, void *, int) = dlsym(RTLD_NEXT, "BIO_read");
    int count = next(bio, data, length);
    if (count > 0 && count < length) {
        ((char *)data)[count] = 0;
        make_older(data, count);
    }
    return count;
}
