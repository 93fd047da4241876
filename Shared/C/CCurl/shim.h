#pragma once
#include <curl/curl.h>

// Swift does not see variadic functions: one typed line for each kind of argument.

static inline CURLcode carillon_easy_set_long(CURL *easy, CURLoption option, long value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode carillon_easy_set_string(CURL *easy, CURLoption option, const char *value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode carillon_easy_set_size(CURL *easy, CURLoption option, curl_off_t value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode carillon_easy_set_pointer(CURL *easy, CURLoption option, void *value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode carillon_easy_set_bytes(CURL *easy, CURLoption option, const void *value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode carillon_easy_set_list(CURL *easy, CURLoption option, struct curl_slist *value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode carillon_easy_set_write(CURL *easy, CURLoption option, curl_write_callback value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode carillon_easy_set_socket_options(CURL *easy, curl_sockopt_callback value) { return curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, value); }
static inline CURLcode carillon_easy_get_long(CURL *easy, CURLINFO info, long *value) { return curl_easy_getinfo(easy, info, value); }
static inline CURLMcode carillon_multi_set_long(CURLM *multi, CURLMoption option, long value) { return curl_multi_setopt(multi, option, value); }
static inline CURLMcode carillon_multi_set_pointer(CURLM *multi, CURLMoption option, void *value) { return curl_multi_setopt(multi, option, value); }
static inline CURLMcode carillon_multi_set_socket(CURLM *multi, curl_socket_callback value) { return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, value); }
static inline CURLMcode carillon_multi_set_timer(CURLM *multi, curl_multi_timer_callback value) { return curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, value); }
// The message's result lies in a union.
static inline CURLcode carillon_message_result(const CURLMsg *message) { return message->data.result; }
