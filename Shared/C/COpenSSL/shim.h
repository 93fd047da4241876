#pragma once
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/buffer.h>

// Macros of OpenSSL are not visible to Swift.
static inline long carillon_ssl_set_host_name(SSL *ssl, const char *name) { return SSL_set_tlsext_host_name(ssl, name); }
// Idle connections give their record buffers back; a write may be repeated from another address.
static inline void carillon_ssl_ctx_set_modes(SSL_CTX *context) {
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}
static inline int carillon_ssl_ctx_require_tls12(SSL_CTX *context) { return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION); }
// Both of an error of the SSL library: packed from its reason, and the reason alone.
static inline unsigned long carillon_ssl_error(int reason) { return ERR_PACK(ERR_LIB_SSL, 0, reason); }
static inline int carillon_ssl_reason(unsigned long error) { return ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0; }
static inline size_t carillon_bio_pending(BIO *bio) { return BIO_ctrl_pending(bio); }
// Only tickets resume a session: nothing is kept for those who have gone. One of them is enough.
static inline void carillon_ssl_ctx_keep_no_sessions(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 1);
}
// A memory BIO that has been read to its end keeps the largest buffer that it ever had: gives it back.
static inline void carillon_bio_release(BIO *bio) {
    BUF_MEM *memory = NULL;
    BIO_get_mem_ptr(bio, &memory);
    if (memory == NULL || memory->max == 0 || BIO_ctrl_pending(bio) != 0) return;
    BUF_MEM *fresh = BUF_MEM_new();
    if (fresh != NULL) BIO_set_mem_buf(bio, fresh, BIO_CLOSE);
}
static inline void carillon_bio_never_ends(BIO *bio) { BIO_set_mem_eof_return(bio, -1); }
// Public keys from their numbers. In C, because a builder keeps the pointers that it is given. NULL: libcrypto does not take them.
static inline EVP_PKEY *carillon_public_key(const char *type, OSSL_PARAM_BLD *builder) {
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL), *check = NULL;
    EVP_PKEY *key = NULL;
    if (parameters && context && EVP_PKEY_fromdata_init(context) == 1) EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters);
    if (key && (check = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL), EVP_PKEY_public_check(check) != 1)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EVP_PKEY_CTX_free(check);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return key;
}
static inline EVP_PKEY *carillon_rsa_public_key(const unsigned char *n, int n_length, const unsigned char *e, int e_length) {
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *modulus = BN_bin2bn(n, n_length, NULL), *exponent = BN_bin2bn(e, e_length, NULL);
    EVP_PKEY *key = NULL;
    if (builder && modulus && exponent && OSSL_PARAM_BLD_push_BN(builder, "n", modulus) && OSSL_PARAM_BLD_push_BN(builder, "e", exponent))
        key = carillon_public_key("RSA", builder);
    BN_free(modulus);
    BN_free(exponent);
    OSSL_PARAM_BLD_free(builder);
    return key;
}
static inline EVP_PKEY *carillon_p256_public_key(const unsigned char *point, size_t length) {
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (builder && OSSL_PARAM_BLD_push_utf8_string(builder, "group", "prime256v1", 0)
        && OSSL_PARAM_BLD_push_octet_string(builder, "pub", point, length))
        key = carillon_public_key("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return key;
}
