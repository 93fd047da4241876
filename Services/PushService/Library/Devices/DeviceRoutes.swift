internal import HTTP
internal import Models
internal import ServiceRuntime
internal import Store
internal import Tokens

/// `/v1/devices`: people register the devices that their pushes go to, each with a token of her own. Loop thread only.
///
/// `PUT` takes one device, `GET` lists them, `DELETE /v1/devices/{token}` removes one. A token that another person had
/// leaves that person. A device that cannot be served here is refused.
struct DeviceRoutes {
    private let devices: Devices
    private let apns: APNsSettings
    private let limit: Int
    private let log: Log

    init(_ devices: Devices, apns: APNsSettings, limit: Int, log: Log) {
        self.devices = devices
        self.apns = apns
        self.limit = limit
        self.log = log
    }

    func add(to router: RESTRouter) {
        router.on("PUT", "/v1/devices", .person) { call in
            guard let person = call.personID() else { return }
            switch DeviceForm.read(call.request.body, environment: apns.environments[0]) {
            case .failure(let complaint): call.refuse(complaint.text)
            case .success(let device):
                if let refusal = apns.refusal(of: device) {
                    return call.respond(.problem(status: 400, name: "device_not_served", detail: refusal))
                }
                put(device, person, call)
            }
        }
        router.on("GET", "/v1/devices", .person) { call in
            guard let person = call.personID() else { return }
            list(person, call) { call.respond(.json(DeviceForm.encode($0))) }
        }
        router.on("GET", "/v1/devices/{token}", .person) { call in
            guard let person = call.personID() else { return }
            list(person, call) { known in
                let token = Device.canonical(token: call.parameters[0])
                guard let device = known.first(where: { $0.token.utf8.elementsEqual(token.utf8) }) else {
                    return call.respond(.problem(status: 404, name: "not_found", detail: "There is no such device of yours."))
                }
                call.respond(.json(DeviceForm.encode(device)))
            }
        }
        router.on("DELETE", "/v1/devices/{token}", .person) { call in
            guard let person = call.personID() else { return }
            devices.delete(call.parameters[0], of: person) { answer($0, call, HTTPResponse(status: 204)) }
        }
    }

    private func put(_ device: Device, _ person: PersonID, _ call: RESTCall) {
        devices.put(device, of: person, limit: limit) { result in
            if case .success(1...) = result {
                log.info("a person has too many devices: the oldest was removed", ["limit": .count(limit)])
            }
            answer(result.map { _ in }, call, .json(DeviceForm.encode(device)))
        }
    }

    private func list(_ person: PersonID, _ call: RESTCall, _ body: @escaping ([Device]) -> Void) {
        devices.list(of: person) { result in
            switch result {
            case .success(let known): body(known)
            case .failure(let error): failed(error, call)
            }
        }
    }

    private func answer(_ result: Result<Void, StoreError>, _ call: RESTCall, _ response: HTTPResponse) {
        switch result {
        case .success: call.respond(response)
        case .failure(let error): failed(error, call)
        }
    }

    private func failed(_ error: StoreError, _ call: RESTCall) {
        switch error {
        case .refusal: call.unavailable("The store takes no writes at present; try again soon.", retryAfter: 2)
        case .outage: call.unavailable("The store is away; try again soon.", retryAfter: 2)
        case .fault:
            log.error("devices cannot be read or written", ["reason": .error(error)])
            call.respond(.problem(status: 500, name: "internal_error", detail: "The devices cannot be read or written."))
        }
    }
}
