#pragma once
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/rand.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

// Macros of OpenSSL are not visible to Swift.
static inline long carillon_ssl_set_host_name(SSL *ssl, const char *name) { return SSL_set_tlsext_host_name(ssl, name); }
// Idle connections give their record buffers back; a write may be repeated from another address.
static inline void carillon_ssl_ctx_set_modes(SSL_CTX *context) {
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}
static inline int carillon_ssl_ctx_require_tls12(SSL_CTX *context) { return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION); }
static inline size_t carillon_bio_pending(BIO *bio) { return BIO_ctrl_pending(bio); }
static inline void carillon_bio_never_ends(BIO *bio) { BIO_set_mem_eof_return(bio, -1); }
