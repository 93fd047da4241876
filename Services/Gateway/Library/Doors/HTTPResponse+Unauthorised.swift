import HTTP

extension HTTPResponse {
    /// 401, with the problem's name and what is wrong with what the request brought.
    static func unauthorised(_ name: String, _ detail: String) -> HTTPResponse {
        .problem(status: 401, name: name, detail: detail, headers: [("WWW-Authenticate", "Bearer")])
    }
}
