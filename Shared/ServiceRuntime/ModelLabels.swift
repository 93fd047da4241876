public import Models

// Enumerations of the models that several services count by.
extension Priority: MetricLabel {}
extension DeadLetterReason: MetricLabel {}
