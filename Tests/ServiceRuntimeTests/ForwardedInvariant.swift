// What must hold of `X-Forwarded-For` for any bytes at all. Tests/Fuzz compiles this file too, beside the source under test.
import HTTP
import Network

#if !FUZZING
    import ServiceRuntime
#endif

private let trusted = ["10.0.0.0/8", "fc00::/7", "::1"].compactMap { AddressRange($0) }

/// What is wrong with what is read of `input`, members of the field as a proxy passes them on, or nil.
func faultOfForwarded(_ input: [UInt8]) -> String? {
    let members = String(decoding: input, as: UTF8.self).split(separator: ",").map(String.init)
    guard let proxy = NetworkAddress("10.1.2.3"), let stranger = NetworkAddress("198.51.100.7") else { return "no addresses" }
    func client(_ forwarded: [String]) -> NetworkAddress? {
        RequestOrigin.address(peer: proxy, forwarded: forwarded, trusted: trusted)
    }
    if RequestOrigin.address(peer: stranger, forwarded: members, trusted: trusted) != stranger { return "a stranger is believed" }
    if client(members + ["198.51.100.7"]) != stranger { return "what our proxy wrote is not believed" }
    let address = client(members)
    if client(members + ["10.9.9.9"]) != address { return "a proxy of ours more changes the client" }
    guard let address else { return nil }
    if RequestOrigin.isTrusted(address, trusted) { return "the client is a proxy of ours" }
    for front in ["203.0.113.9", "10.1.1.1", "nonsense", ""] where client([front] + members) != address {
        return "what stands in front of the client's address changes it"
    }
    if NetworkAddress(address.description) != address { return "\(address) is read otherwise than it is written" }
    if AddressRange(address.description)?.contains(address) != true { return "\(address) is not within itself" }
    return nil
}
