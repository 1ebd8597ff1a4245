import torch


def launch_torch(inputs, params, wrt, scale, ignore_index):
    """Loss per row and gradients of the batch.

    inputs: tensors in the order of the loss: [rows, classes] per class, [rows] per sample, [classes] shared.
    params: [K] tensor of all parameters; scale: one number that multiplies every gradient.
    Returns the loss [rows] and a dict of gradients shaped like the inputs, [rows] for parameters, not yet rounded.
    """
    in0, in1, = inputs
    dtype = torch.promote_types(torch.float32, in0.dtype)
    device = in0.device
    rows = in0.shape[0]

    def literal(value):
        return torch.full((), value, dtype=dtype, device=device)

    C = in0.shape[-1]
    classes = literal(C)
    position = torch.arange(C, device=device)[None, :]
    p_th0 = params[0].to(dtype)
    p_th1 = params[1].to(dtype)
    p_th2 = params[2].to(dtype)
    p_th3 = params[3].to(dtype)
    p_th4 = params[4].to(dtype)
    p_th5 = params[5].to(dtype)
    p_th6 = params[6].to(dtype)
    p_th7 = params[7].to(dtype)
    valid = (in1 != ignore_index)
    in1 = torch.where(valid, in1, 0).to(torch.int64)
    valid = valid[:, None]
    if rows and not bool(((in1 >= 0) & (in1 < C)).all()):
        raise IndexError(f"a class index is outside [0, {C})")
    v23 = (classes * p_th1)
    v24 = (literal(1.0) - v23)
    v25 = (p_th2 * v24)
    v38 = (literal(-1.0) / classes)
    v39 = (p_th5 * v38)
    v41 = (p_th7 * v38)
    v43 = (p_th4 * v38)
    v47 = (p_th3 * v38)
    v48 = (p_th6 * v38)
    v66 = (v39 * v24)
    v76 = (classes * p_th0)
    v77 = (literal(1.0) - v76)
    v78 = (v39 * v77)
    v80 = (p_th2 * v38)
    v81 = (classes * v80)
    v84 = (v38 * v24)
    v0 = in1[:, None]
    v1 = (position == v0)
    v2 = torch.where(v1, literal(1.0), literal(0.0))
    v3 = (v2 - p_th0)
    v4 = torch.square(v3)
    v5 = in0.to(dtype)
    v40 = (v39 * v3)
    v42 = (v41 * v4)
    v49 = (v3 * v48)
    v50 = (v47 + v49)
    v6 = v5.amax(-1, keepdim=True)
    v72 = v4.sum(-1, keepdim=True)
    v73 = (v41 * v72)
    v7 = (v5 - v6)
    v8 = torch.exp(v7)
    v9 = v8.sum(-1, keepdim=True)
    v10 = (literal(1.0) / v9)
    v11 = (v8 * v10)
    v12 = (v11 - p_th1)
    v13 = (v4 * v12)
    v16 = torch.square(v12)
    v17 = (v16 * v3)
    v20 = (v12 * v3)
    v29 = (v16 * v12)
    v44 = (v16 * v43)
    v45 = (v42 + v44)
    v46 = (v12 * v43)
    v51 = (v46 + v50)
    v52 = (v12 * v51)
    v53 = (literal(2.0) * v52)
    v54 = (v45 + v53)
    v55 = (v40 + v54)
    v56 = (v8 * v55)
    v14 = v13.sum(-1, keepdim=True)
    v18 = v17.sum(-1, keepdim=True)
    v21 = v20.sum(-1, keepdim=True)
    v26 = v16.sum(-1, keepdim=True)
    v30 = v29.sum(-1, keepdim=True)
    v57 = v56.sum(-1, keepdim=True)
    v69 = v52.sum(-1, keepdim=True)
    v15 = (p_th7 * v14)
    v19 = (p_th6 * v18)
    v22 = (p_th5 * v21)
    v27 = (p_th3 * v26)
    v28 = (v25 + v27)
    v31 = (p_th4 * v30)
    v32 = (v28 + v31)
    v33 = (v22 + v32)
    v34 = (v19 + v33)
    v35 = (v15 + v34)
    v36 = (v35 / classes)
    v37 = (-v36)
    v58 = (v57 * v10)
    v62 = (v41 * v21)
    v63 = (literal(2.0) * v62)
    v64 = (v26 * v48)
    v65 = (v63 + v64)
    v67 = (v65 + v66)
    v68 = (-v67)
    v70 = (literal(2.0) * v69)
    v71 = (v26 * v43)
    v74 = (v71 + v73)
    v75 = (v70 + v74)
    v79 = (v75 + v78)
    v82 = (v79 + v81)
    v83 = (-v82)
    v85 = (v26 * v38)
    v86 = (v38 * v30)
    v87 = (v38 * v21)
    v88 = (v38 * v18)
    v89 = (v38 * v14)
    v59 = (v55 - v58)
    v60 = (v8 * v59)
    v61 = (v10 * v60)
    loss = torch.where(valid, v37, 0.0).expand(rows, 1)[:, 0]
    gradients = {}
    if 'z' in wrt:
        gradients['z'] = torch.where(valid, (v61 * scale), 0.0).expand(rows, C).contiguous()
    if 'th0' in wrt:
        gradients['th0'] = torch.where(valid, (v68 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'th1' in wrt:
        gradients['th1'] = torch.where(valid, (v83 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'th2' in wrt:
        gradients['th2'] = torch.where(valid, (v84 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'th3' in wrt:
        gradients['th3'] = torch.where(valid, (v85 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'th4' in wrt:
        gradients['th4'] = torch.where(valid, (v86 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'th5' in wrt:
        gradients['th5'] = torch.where(valid, (v87 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'th6' in wrt:
        gradients['th6'] = torch.where(valid, (v88 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'th7' in wrt:
        gradients['th7'] = torch.where(valid, (v89 * scale), 0.0).expand(rows, 1)[:, 0]
    return loss, gradients
