// What the decoder's file names of Tokens, whose own sources would bring OpenSSL with them.
public enum TokenFault: String, Sendable {
    case revoked
}
